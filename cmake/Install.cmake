# The installed prefix. Everything finds its neighbours relative to itself, so that the prefix can be moved.

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/fieldpress")
set(plugin_dir "${CMAKE_INSTALL_LIBDIR}/fieldpress")
set(module_dir "${CMAKE_INSTALL_INCLUDEDIR}/fieldpress")

# Archives of one process, and their readers, are part of the library.
install(FILES include/fieldpress.h include/fieldpress.hpp include/fieldpress_archive.h include/fieldpress_archive.hpp
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(FILES "${library_copy}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(PROGRAMS "${shared_copy}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/lib/libfieldpress.so.${PROJECT_VERSION_MAJOR}"
  "${CMAKE_CURRENT_BINARY_DIR}/lib/libfieldpress.so" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
if(FIELDPRESS_TOOL)
  install(PROGRAMS "${tool_copy}" DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()
if(FIELDPRESS_MODEL)
  install(DIRECTORY models/default DESTINATION "${CMAKE_INSTALL_DATADIR}/fieldpress/models")
  if(FIELDPRESS_ONNXRUNTIME)
    file(GLOB runtime "${FIELDPRESS_ONNXRUNTIME}/libonnxruntime*.so*")
    if(NOT runtime)
      message(FATAL_ERROR "FIELDPRESS_ONNXRUNTIME is '${FIELDPRESS_ONNXRUNTIME}', where there is no libonnxruntime.so")
    endif()
    install(FILES ${runtime} DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  endif()
endif()
if(FIELDPRESS_HAVE_FORTRAN)
  install(TARGETS fieldpress_fortran ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  # A module file belongs to its compiler; the source builds it for another.
  install(FILES "${CMAKE_CURRENT_BINARY_DIR}/modules/fieldpress.mod" DESTINATION "${module_dir}")
  install(FILES src/ffi/fortran/fieldpress.F90 src/ffi/fortran/specifics.inc
    DESTINATION "${CMAKE_INSTALL_DATADIR}/fieldpress/fortran")
endif()
if(FIELDPRESS_HAVE_MPI)
  install(FILES include/fieldpress_mpi.h include/fieldpress_mpi.hpp DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
  install(FILES "${mpi_library_copy}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  install(PROGRAMS "${mpi_shared_copy}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  install(FILES "${CMAKE_CURRENT_BINARY_DIR}/lib/libfieldpress_mpi.so.${PROJECT_VERSION_MAJOR}"
    "${CMAKE_CURRENT_BINARY_DIR}/lib/libfieldpress_mpi.so" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  if(FIELDPRESS_HAVE_FORTRAN)
    install(TARGETS fieldpress_mpi_fortran ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
    install(FILES "${CMAKE_CURRENT_BINARY_DIR}/modules/mpi/fieldpress.mod"
      "${CMAKE_CURRENT_BINARY_DIR}/modules/mpi/fieldpress_mpi.mod" DESTINATION "${module_dir}/mpi")
    install(FILES src/ffi/mpi/fortran/fieldpress_mpi.F90 DESTINATION "${CMAKE_INSTALL_DATADIR}/fieldpress/fortran")
  endif()
endif()
if(FIELDPRESS_HAVE_ADIOS2)
  install(TARGETS fieldpress_adios2 LIBRARY DESTINATION "${plugin_dir}/adios2")
endif()
if(FIELDPRESS_HAVE_HDF5)
  install(TARGETS h5z_fieldpress LIBRARY DESTINATION "${plugin_dir}/hdf5")
endif()

configure_package_config_file(cmake/fieldpressConfig.cmake.in "${CMAKE_CURRENT_BINARY_DIR}/fieldpressConfig.cmake"
  INSTALL_DESTINATION "${package_dir}"
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR module_dir plugin_dir)
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/fieldpressConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/fieldpressConfig.cmake"
  "${CMAKE_CURRENT_BINARY_DIR}/fieldpressConfigVersion.cmake" DESTINATION "${package_dir}")

# From lib/pkgconfig up to the prefix, however deep the library folder is (lib, lib64, lib/x86_64-linux-gnu).
file(RELATIVE_PATH pkgconfig_to_prefix "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
configure_file(cmake/fieldpress.pc.in "${CMAKE_CURRENT_BINARY_DIR}/fieldpress.pc" @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/fieldpress.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

install(FILES LICENSE-MIT LICENSE-APACHE DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/fieldpress")
