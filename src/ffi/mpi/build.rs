//! Tells the tests which MPI this is built for: `mpi-sys` builds against the one of `$MPICC`, `mpicc` unless told. And
//! names the shared library, for a cargo that no longer hands on arguments of dependencies; the last word is that of
//! `soname/build.rs`.

fn main() {
    println!("cargo::rerun-if-env-changed=MPICC");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=FIELDPRESS_MPICC={}", std::env::var("MPICC").unwrap_or_else(|_| "mpicc".into()));
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libfieldpress_mpi.so.{}", env!("CARGO_PKG_VERSION_MAJOR"));
    }
}
