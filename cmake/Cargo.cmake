# Builds the Rust parts by cargo, at every build of the target fieldpress_cargo: cargo knows best what is out of date.

find_program(FIELDPRESS_CARGO cargo HINTS "$ENV{HOME}/.cargo/bin" REQUIRED)
if(DEFINED ENV{CARGO_TARGET_DIR})
  set(default_target_dir "$ENV{CARGO_TARGET_DIR}")
else()
  set(default_target_dir "${CMAKE_CURRENT_SOURCE_DIR}/target")
endif()
set(FIELDPRESS_CARGO_TARGET_DIR "${default_target_dir}" CACHE PATH "Cargo's target directory")
set(FIELDPRESS_CARGO_ARGS "" CACHE STRING "Further arguments of cargo build, for example --offline")

set(cargo_args -p fieldpress)
set(products "${FIELDPRESS_CARGO_TARGET_DIR}/release/libfieldpress.a"
  "${FIELDPRESS_CARGO_TARGET_DIR}/release/libfieldpress.so")
# Other builds write to cargo's target directory, too: what is linked with and installed is this build's copy.
set(library_copy "${CMAKE_CURRENT_BINARY_DIR}/lib/libfieldpress.a")
set(shared_copy "${CMAKE_CURRENT_BINARY_DIR}/lib/libfieldpress.so.${PROJECT_VERSION}")
set(tool_copy "${CMAKE_CURRENT_BINARY_DIR}/bin/fieldpress")
set(copies "${library_copy}" "${shared_copy}")

# The commands that copy a product of cargo's, without its debug lines unless they are wanted: they are most of its
# size. A copy that would not change is left, so that nothing is linked again.
function(take_over commands from to strip_option)
  if(FIELDPRESS_DEBUG_LINES OR FIELDPRESS_SANITIZE OR NOT CMAKE_STRIP)
    set(${commands} COMMAND "${CMAKE_COMMAND}" -E copy_if_different "${from}" "${to}" PARENT_SCOPE)
  else()
    set(${commands}
      COMMAND "${CMAKE_STRIP}" ${strip_option} -o "${to}.stripped" "${from}"
      COMMAND "${CMAKE_COMMAND}" -E copy_if_different "${to}.stripped" "${to}"
      COMMAND "${CMAKE_COMMAND}" -E rm "${to}.stripped"
      PARENT_SCOPE)
  endif()
endfunction()

take_over(copy_library "${FIELDPRESS_CARGO_TARGET_DIR}/release/libfieldpress.a" "${library_copy}" --strip-debug)
take_over(copy_shared "${FIELDPRESS_CARGO_TARGET_DIR}/release/libfieldpress.so" "${shared_copy}" --strip-unneeded)
set(copy_tool "")
if(FIELDPRESS_TOOL)
  list(APPEND cargo_args -p fieldpress-cli)
  list(APPEND products "${FIELDPRESS_CARGO_TARGET_DIR}/release/fieldpress")
  list(APPEND copies "${tool_copy}")
  take_over(copy_tool "${FIELDPRESS_CARGO_TARGET_DIR}/release/fieldpress" "${tool_copy}" --strip-all)
  file(MAKE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/bin")
endif()
if(FIELDPRESS_HAVE_ADIOS2)
  list(APPEND cargo_args -p fieldpress-adios2)
  list(APPEND products "${FIELDPRESS_CARGO_TARGET_DIR}/release/libfieldpress_adios2.a")
endif()
set(copy_mpi "")
set(cargo_environment "CARGO_TARGET_DIR=${FIELDPRESS_CARGO_TARGET_DIR}")
if(FIELDPRESS_HAVE_MPI)
  list(APPEND cargo_args -p fieldpress-mpi)
  set(mpi_library_copy "${CMAKE_CURRENT_BINARY_DIR}/lib/libfieldpress_mpi.a")
  set(mpi_shared_copy "${CMAKE_CURRENT_BINARY_DIR}/lib/libfieldpress_mpi.so.${PROJECT_VERSION}")
  list(APPEND products "${FIELDPRESS_CARGO_TARGET_DIR}/release/libfieldpress_mpi.a"
    "${FIELDPRESS_CARGO_TARGET_DIR}/release/libfieldpress_mpi.so")
  list(APPEND copies "${mpi_library_copy}" "${mpi_shared_copy}")
  take_over(copy_mpi_library "${FIELDPRESS_CARGO_TARGET_DIR}/release/libfieldpress_mpi.a" "${mpi_library_copy}"
    --strip-debug)
  take_over(copy_mpi_shared "${FIELDPRESS_CARGO_TARGET_DIR}/release/libfieldpress_mpi.so" "${mpi_shared_copy}"
    --strip-unneeded)
  set(copy_mpi ${copy_mpi_library} ${copy_mpi_shared}
    COMMAND "${CMAKE_COMMAND}" -E create_symlink "libfieldpress_mpi.so.${PROJECT_VERSION}"
      "${CMAKE_CURRENT_BINARY_DIR}/lib/libfieldpress_mpi.so.${PROJECT_VERSION_MAJOR}"
    COMMAND "${CMAKE_COMMAND}" -E create_symlink "libfieldpress_mpi.so.${PROJECT_VERSION_MAJOR}"
      "${CMAKE_CURRENT_BINARY_DIR}/lib/libfieldpress_mpi.so")
  # cargo builds for the MPI of `mpicc` unless told; to tell it the same would make it build once more.
  find_program(default_mpicc mpicc)
  file(REAL_PATH "${MPI_C_COMPILER}" wanted_mpicc)
  if(default_mpicc)
    file(REAL_PATH "${default_mpicc}" real_default_mpicc)
  endif()
  if(NOT wanted_mpicc STREQUAL "${real_default_mpicc}")
    list(APPEND cargo_environment "MPICC=${MPI_C_COMPILER}")
  endif()
endif()
if(NOT FIELDPRESS_MODEL)
  # The only default feature: where it is wanted, what cargo has built by itself is used.
  list(APPEND cargo_args --no-default-features)
endif()

add_custom_target(fieldpress_cargo ALL
  COMMAND "${CMAKE_COMMAND}" -E env ${cargo_environment}
    "${FIELDPRESS_CARGO}" build --release --locked ${cargo_args} ${FIELDPRESS_CARGO_ARGS}
  ${copy_library}
  ${copy_tool}
  ${copy_mpi}
  # The shared library under the names that programs record and linkers look for.
  ${copy_shared}
  COMMAND "${CMAKE_COMMAND}" -E create_symlink "libfieldpress.so.${PROJECT_VERSION}"
    "${CMAKE_CURRENT_BINARY_DIR}/lib/libfieldpress.so.${PROJECT_VERSION_MAJOR}"
  COMMAND "${CMAKE_COMMAND}" -E create_symlink "libfieldpress.so.${PROJECT_VERSION_MAJOR}"
    "${CMAKE_CURRENT_BINARY_DIR}/lib/libfieldpress.so"
  BYPRODUCTS ${products} ${copies}
  WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}"
  COMMENT "Building fieldpress by cargo"
  USES_TERMINAL VERBATIM)
file(MAKE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/lib")

find_package(Threads REQUIRED)
# What Rust's standard library needs of the system.
set(FIELDPRESS_SYSTEM_LIBRARIES Threads::Threads ${CMAKE_DL_LIBS} m gcc_s)

add_library(fieldpress_static STATIC IMPORTED GLOBAL)
add_library(fieldpress::fieldpress ALIAS fieldpress_static)
set_target_properties(fieldpress_static PROPERTIES
  IMPORTED_LOCATION "${library_copy}"
  INTERFACE_INCLUDE_DIRECTORIES "${CMAKE_CURRENT_SOURCE_DIR}/include"
  INTERFACE_LINK_LIBRARIES "${FIELDPRESS_SYSTEM_LIBRARIES}")
add_dependencies(fieldpress_static fieldpress_cargo)

add_library(fieldpress_shared SHARED IMPORTED GLOBAL)
add_library(fieldpress::shared ALIAS fieldpress_shared)
set_target_properties(fieldpress_shared PROPERTIES
  IMPORTED_LOCATION "${shared_copy}"
  IMPORTED_SONAME "libfieldpress.so.${PROJECT_VERSION_MAJOR}"
  INTERFACE_INCLUDE_DIRECTORIES "${CMAKE_CURRENT_SOURCE_DIR}/include")
add_dependencies(fieldpress_shared fieldpress_cargo)

if(FIELDPRESS_HAVE_ADIOS2)
  add_library(fieldpress_adios2_rust STATIC IMPORTED)
  set_target_properties(fieldpress_adios2_rust PROPERTIES
    IMPORTED_LOCATION "${FIELDPRESS_CARGO_TARGET_DIR}/release/libfieldpress_adios2.a"
    INTERFACE_INCLUDE_DIRECTORIES "${FIELDPRESS_CARGO_TARGET_DIR}/cxxbridge"
    INTERFACE_LINK_LIBRARIES "${FIELDPRESS_SYSTEM_LIBRARIES}")
  add_dependencies(fieldpress_adios2_rust fieldpress_cargo)
  # cxx writes its headers there as part of cargo's build.
  file(MAKE_DIRECTORY "${FIELDPRESS_CARGO_TARGET_DIR}/cxxbridge")
endif()

if(FIELDPRESS_HAVE_MPI)
  # In place of fieldpress::fieldpress: they hold the same calls, and those that take a communicator.
  add_library(fieldpress_mpi_static STATIC IMPORTED GLOBAL)
  add_library(fieldpress::mpi ALIAS fieldpress_mpi_static)
  set_target_properties(fieldpress_mpi_static PROPERTIES
    IMPORTED_LOCATION "${mpi_library_copy}"
    INTERFACE_INCLUDE_DIRECTORIES "${CMAKE_CURRENT_SOURCE_DIR}/include"
    INTERFACE_LINK_LIBRARIES "MPI::MPI_C;${FIELDPRESS_SYSTEM_LIBRARIES}")
  add_dependencies(fieldpress_mpi_static fieldpress_cargo)

  add_library(fieldpress_mpi_shared SHARED IMPORTED GLOBAL)
  add_library(fieldpress::mpi_shared ALIAS fieldpress_mpi_shared)
  set_target_properties(fieldpress_mpi_shared PROPERTIES
    IMPORTED_LOCATION "${mpi_shared_copy}"
    IMPORTED_SONAME "libfieldpress_mpi.so.${PROJECT_VERSION_MAJOR}"
    INTERFACE_INCLUDE_DIRECTORIES "${CMAKE_CURRENT_SOURCE_DIR}/include"
    INTERFACE_LINK_LIBRARIES MPI::MPI_C)
  add_dependencies(fieldpress_mpi_shared fieldpress_cargo)
endif()
