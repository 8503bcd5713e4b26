# How the project's own targets are compiled. Nothing here reaches a user's targets.

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release)
endif()

function(remuda_settings target)
  target_compile_features(${target} PRIVATE cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  # Plain -Wshadow of g++, unlike clang's, also objects to constructor parameters named as the members they start.
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wcast-qual -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual
    $<IF:$<CXX_COMPILER_ID:GNU>,-Wshadow=local,-Wshadow>
    $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>  # false in joined strings (GCC bug 105651)
    $<$<BOOL:${REMUDA_WERROR}>:-Werror>)
  if(REMUDA_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${REMUDA_SANITIZE} -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${REMUDA_SANITIZE})
  endif()
endfunction()
