# Installed: headers, library, and what find_package and pkg-config read. Both kinds of file find the prefix from where
# they lie, so that the installed tree can be moved.

include(CMakePackageConfigHelpers)
set(remuda_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/remuda)

install(DIRECTORY include/remuda DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
install(TARGETS remuda remuda_entry EXPORT remudaTargets)
install(EXPORT remudaTargets NAMESPACE remuda:: DESTINATION ${remuda_cmake_dir})

# A static library leaves its own dependencies to the program that links it.
get_target_property(remuda_type remuda TYPE)
if(remuda_type STREQUAL STATIC_LIBRARY)
  set(REMUDA_IS_STATIC TRUE)
  # Not Requires.private with `pkg-config --static`: that asks for a static hwloc and all that lies under it.
  set(REMUDA_PC_REQUIRES Requires)
else()
  set(REMUDA_IS_STATIC FALSE)
  set(REMUDA_PC_REQUIRES Requires.private)
endif()
configure_package_config_file(cmake/remudaConfig.cmake.in remudaConfig.cmake INSTALL_DESTINATION ${remuda_cmake_dir}
                              NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(remudaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/remudaConfig.cmake ${PROJECT_BINARY_DIR}/remudaConfigVersion.cmake
        DESTINATION ${remuda_cmake_dir})

file(RELATIVE_PATH REMUDA_PREFIX_FROM_PC ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
# cereal has no file for pkg-config. Where compilers look anyway it needs none.
set(REMUDA_PC_CEREAL "")
if(NOT REMUDA_CEREAL_DIR IN_LIST CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES)
  set(REMUDA_PC_CEREAL " -I${REMUDA_CEREAL_DIR}")
endif()
configure_file(cmake/remuda.pc.in remuda.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/remuda.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
