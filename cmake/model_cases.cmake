# Writes TESTS_FILE: one test for each case that the program MODEL lists.
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND ${MODEL} --list OUTPUT_VARIABLE cases OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\n" ";" cases "${cases}")
cmake_path(GET MODEL STEM model)
string(REGEX REPLACE "_model$" "" model ${model})

set(tests "")
foreach(case IN LISTS cases)
  if(case MATCHES "^good")
    set(expected 0)
  else()
    set(expected 1)
  endif()
  set(test "[==[model/${model}.${case}]==]")
  string(APPEND tests
         "add_test(${test} [==[${CMAKE_COMMAND}]==] -D [==[MODEL=${MODEL}]==] -D CASE=${case} -D EXPECTED=${expected} "
         "-P [==[${CMAKE_CURRENT_LIST_DIR}/model_run.cmake]==])\n"
         "set_tests_properties(${test} PROPERTIES TIMEOUT 600)\n")
endforeach()
if(NOT tests)
  message(FATAL_ERROR "${MODEL} --list named no case")
endif()
file(WRITE ${TESTS_FILE} "${tests}")
