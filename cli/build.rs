//! Compiles the HDF5 filter into the tool, which writes and reads datasets by it.

use std::env;

fn main() {
    let filter = "../src/ffi/hdf5/filter.c";
    println!("cargo::rerun-if-changed={filter}");
    println!("cargo::rerun-if-changed=../include/fieldpress.h");
    let hdf5 = env::var("DEP_HDF5_INCLUDE").expect("hdf5-metno-sys says where HDF5's headers are");
    // Its entry points are those of a plugin; nothing but this tool sees them here.
    cc::Build::new()
        .file(filter)
        .include("../include")
        .include(hdf5)
        .std("c11")
        .warnings(false)
        .compile("h5z_fieldpress");
}
