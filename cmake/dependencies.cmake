# What the library itself is built on. Tests, benchmarks and tools look for theirs in their own folders.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

find_package(PkgConfig REQUIRED)
pkg_check_modules(REMUDA_HWLOC REQUIRED IMPORTED_TARGET hwloc>=2.0)

# moodycamel's queue: Debian and the project itself install its header at different places.
find_path(REMUDA_CONCURRENTQUEUE_DIR concurrentqueue.h
          PATH_SUFFIXES concurrentqueue concurrentqueue/moodycamel moodycamel)
if(NOT REMUDA_CONCURRENTQUEUE_DIR)
  message(FATAL_ERROR "moodycamel's concurrentqueue.h was not found (Debian: libconcurrentqueue-dev)")
endif()
mark_as_advanced(REMUDA_CONCURRENTQUEUE_DIR)

# cereal: only headers, of which remuda/wire.hpp shows some to users.
find_path(REMUDA_CEREAL_DIR cereal/cereal.hpp)
if(NOT REMUDA_CEREAL_DIR)
  message(FATAL_ERROR "cereal was not found (Debian: libcereal-dev)")
endif()
mark_as_advanced(REMUDA_CEREAL_DIR)

# nlohmann-json: only headers, which only sources of the library include.
find_path(REMUDA_JSON_DIR nlohmann/json.hpp)
if(NOT REMUDA_JSON_DIR)
  message(FATAL_ERROR "nlohmann-json was not found (Debian: nlohmann-json3-dev)")
endif()
mark_as_advanced(REMUDA_JSON_DIR)
