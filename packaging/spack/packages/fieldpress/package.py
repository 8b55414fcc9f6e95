# Copyright Spack Project Developers. See COPYRIGHT file for details.
#
# SPDX-License-Identifier: (Apache-2.0 OR MIT)

from spack_repo.builtin.build_systems.cmake import CMakePackage

from spack.package import *


class Fieldpress(CMakePackage):
    """Error-bounded compression of simulation fields, inside the simulation that writes them: a library for C, C++ and
    Fortran, archives over MPI, plugins for ADIOS2 and HDF5, and a command-line tool."""

    homepage = "https://github.com/fieldpress/fieldpress"
    url = "https://github.com/fieldpress/fieldpress/releases/download/v0.1.0/fieldpress-0.1.0.tar.gz"
    git = "https://github.com/fieldpress/fieldpress.git"

    license("MIT OR Apache-2.0", checked_by="fieldpress")

    version("main", branch="main")
    # tools/release puts the tarball's checksum here.
    version("0.1.0", sha256="0000000000000000000000000000000000000000000000000000000000000000")

    variant("fortran", default=True, description="Fortran modules")
    variant("mpi", default=True, description="Archives written by all ranks of a job")
    variant("hdf5", default=True, description="Filter plugin for HDF5")
    variant("adios2", default=False, description="Operator plugin for ADIOS2")
    variant("tool", default=True, description="Command-line tool")
    variant("model", default=True, description="Foundation model, through ONNX Runtime loaded at run time")

    depends_on("c", type="build")
    depends_on("cxx", type="build")
    depends_on("fortran", type="build", when="+fortran")
    depends_on("cmake@3.21:", type="build")
    depends_on("rust@1.92:", type="build")
    depends_on("llvm+clang", type="build", when="+mpi")  # bindgen reads MPI's header by libclang
    depends_on("pkgconfig", type="build")
    depends_on("mpi", when="+mpi")
    depends_on("hdf5@1.10:", when="+hdf5")
    depends_on("hdf5@1.10:", when="+tool")
    depends_on("netcdf-c@4.8:", when="+tool")
    depends_on("adios2@2.12:", when="+adios2")
    depends_on("py-onnxruntime@1.20:", type="run", when="+model")

    def cmake_args(self):
        return [
            self.define_from_variant("FIELDPRESS_FORTRAN", "fortran"),
            self.define_from_variant("FIELDPRESS_MPI", "mpi"),
            self.define_from_variant("FIELDPRESS_HDF5", "hdf5"),
            self.define_from_variant("FIELDPRESS_ADIOS2", "adios2"),
            self.define_from_variant("FIELDPRESS_TOOL", "tool"),
            self.define_from_variant("FIELDPRESS_MODEL", "model"),
            self.define("FIELDPRESS_EXAMPLES", False),
            self.define("BUILD_TESTING", self.run_tests),
        ]

    def setup_run_environment(self, env):
        if self.spec.satisfies("+hdf5"):
            env.prepend_path("HDF5_PLUGIN_PATH", self.prefix.lib.fieldpress.hdf5)
        if self.spec.satisfies("+adios2"):
            env.prepend_path("ADIOS2_PLUGIN_PATH", self.prefix.lib.fieldpress.adios2)
