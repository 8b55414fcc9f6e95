//! Compiles the C++ half of the bridge. operator.cpp, which needs ADIOS2's headers, is compiled by CMake.

fn main() {
    cxx_build::bridge("src/lib.rs").std("c++17").compile("fieldpress_adios2_bridge");
    println!("cargo::rerun-if-changed=src/lib.rs");
}
