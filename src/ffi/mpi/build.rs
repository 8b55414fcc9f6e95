//! Tells the tests which MPI this is built for: `mpi-sys` builds against the one of `$MPICC`, `mpicc` unless told.

fn main() {
    println!("cargo::rerun-if-env-changed=MPICC");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=FIELDPRESS_MPICC={}", std::env::var("MPICC").unwrap_or_else(|_| "mpicc".into()));
}
