//! Lists the files of `models/default` for the package that is compiled into the library, and names the shared library.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let folder = Path::new(&root).join("models/default");
    // A folder is watched only where it exists; its parent always does.
    println!("cargo::rerun-if-changed={}", if folder.is_dir() { "models/default" } else { "models" });
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        // The name that programs record: one for all versions with the same ABI.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libfieldpress.so.{}", env!("CARGO_PKG_VERSION_MAJOR"));
    }

    let mut names: Vec<String> = match fs::read_dir(&folder) {
        Ok(entries) => entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect(),
        Err(_) => Vec::new(),
    };
    names.retain(|name| name.ends_with(".onnx") || name.ends_with(".json"));
    names.sort();
    let mut code = String::from("static FILES: &[(&str, &[u8])] = &[\n");
    for name in names {
        let path = format!("/models/default/{name}");
        code += &format!("    ({name:?}, include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {path:?}))),\n");
    }
    code += "];\n";
    fs::write(Path::new(&env::var("OUT_DIR").expect("cargo sets OUT_DIR")).join("default_package.rs"), code)
}
