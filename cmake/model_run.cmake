# Runs one CASE of MODEL. The exit status must be EXPECTED and no other: a mutant that crashes has not been caught.
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND ${MODEL} ${CASE} RESULT_VARIABLE status)
if(NOT status STREQUAL EXPECTED)
  message(FATAL_ERROR "${CASE}: expected exit ${EXPECTED}, got ${status} (0: nothing found, 1: a fault found)")
endif()
