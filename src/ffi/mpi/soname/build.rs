//! The name that programs record of `libfieldpress_mpi.so`: one for all versions with the same ABI.
//!
//! Cargo hands a package's arguments for linking a `cdylib` on to every `cdylib` that depends on it: first the
//! package's own, then those of its dependencies by name. So `fieldpress`'s name reaches `fieldpress-mpi`, and only a
//! dependency of a later name has the last word, which is what linkers take. The tests look at the names that come out.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libfieldpress_mpi.so.{}", env!("CARGO_PKG_VERSION_MAJOR"));
    }
}
