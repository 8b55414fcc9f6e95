//! The header, and the C ABI over MPI from C and Fortran, with everything that goes wrong before MPI runs, and on one
//! rank alone.

mod run;

use run::{compiler, folder, mpicc, mpirun, watch};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// The static library, beside this test: cargo builds all of the library's crate types for its tests.
fn library() -> PathBuf {
    let library = std::env::current_exe().unwrap().with_file_name("libfieldpress_mpi.a");
    assert!(library.exists(), "{} is missing; run these tests through cargo", library.display());
    library
}

#[test]
fn header_is_current() {
    let config = cbindgen::Config::from_file(root().join("src/ffi/mpi/cbindgen.toml")).unwrap();
    let builder = cbindgen::Builder::new().with_config(config).with_src(root().join("src/ffi/mpi/src/calls.rs"));
    let mut written = Vec::new();
    builder.generate().unwrap().write(&mut written);
    let mut generated = String::new();
    let mut in_safety = false;
    for line in String::from_utf8(written).unwrap().lines() {
        in_safety = line.starts_with("//") && (in_safety || line == "// # Safety");
        if !in_safety {
            generated.push_str(line);
            generated.push('\n');
        }
    }
    let generated = generated.replace("//\nfieldpress_status ", "fieldpress_status ");
    let header = root().join("include/fieldpress_mpi.h");
    if std::env::var_os("FIELDPRESS_WRITE_HEADER").is_some() {
        std::fs::write(&header, generated).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&header).unwrap_or_default();
    assert!(
        committed == generated,
        "include/fieldpress_mpi.h is not what src/ffi/mpi says; write it anew with\n\
         FIELDPRESS_WRITE_HEADER=1 cargo test -p fieldpress-mpi --test c_abi header_is_current"
    );
}

/// The shared library lets out the C ABI and nothing else.
#[test]
fn shared_library_exports_the_c_abi() {
    let mut symbols = Command::new(root().join("tests/hosts/symbols"));
    symbols.arg(library().with_extension("so")).arg("fieldpress_[a-z_]+");
    let (well, output, _) = watch(&mut symbols, "nm");
    assert!(well, "{output}");
}

/// Programs record the name of the library that they were linked with, not that of the serial one inside it.
#[test]
fn shared_libraries_have_their_names() {
    for name in ["libfieldpress_mpi.so", "libfieldpress.so"] {
        let mut soname = Command::new(root().join("tests/hosts/soname"));
        soname.arg(library().with_file_name(name)).arg(format!("{name}.{}", env!("CARGO_PKG_VERSION_MAJOR")));
        let (well, output, _) = watch(&mut soname, "readelf");
        assert!(well, "{output}");
    }
}

#[test]
fn life_cycle_and_errors() {
    let folder = folder("c_abi");
    let program = folder.join("life_cycle");
    let mut compiler = Command::new(mpicc());
    compiler
        .args(["-std=c99", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(root().join("include"))
        .arg(root().join("src/ffi/mpi/tests/life_cycle.c"))
        .arg(library())
        .args(["-lpthread", "-ldl", "-lm", "-lgcc_s", "-Wl,--no-undefined", "-o"])
        .arg(&program);
    let (compiled, output, _) = watch(&mut compiler, "compiling");
    assert!(compiled, "{output}");
    for ranks in [1, 3] {
        let path = folder.join(format!("{ranks}.fpa"));
        let (success, output, _) = watch(mpirun(ranks).arg(&program).arg(&path), "life_cycle");
        assert!(success && output.is_empty(), "{ranks} ranks: {output}");
    }
}

/// The module, with communicators that are integers and of type(MPI_Comm).
#[test]
fn fortran_life_cycle() {
    let folder = folder("fortran");
    let program = folder.join("life_cycle");
    let mut command = Command::new(compiler("mpif90"));
    command
        .args([
            "-std=f2008",
            "-O1",
            "-g",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wno-compare-reals",
            "-fcheck=all",
            "-cpp",
            "-J",
        ])
        .arg(&folder);
    for source in ["fortran/fieldpress.F90", "mpi/fortran/fieldpress_mpi.F90", "mpi/tests/life_cycle.f90"] {
        command.arg(root().join("src/ffi").join(source));
    }
    command.arg(library()).args(["-lpthread", "-ldl", "-lm", "-lgcc_s", "-Wl,--no-undefined", "-o"]).arg(&program);
    let (compiled, output, _) = watch(&mut command, "compiling");
    assert!(compiled, "{output}");
    for ranks in [1, 3] {
        let path = folder.join(format!("{ranks}.fpa"));
        let (success, output, _) = watch(mpirun(ranks).arg(&program).arg(&path), "life_cycle");
        assert!(success && output.is_empty(), "{ranks} ranks: {output}");
    }
    // Two owners of a handle would both close it.
    let (success, output, _) = watch(Command::new(&program).arg(folder.join("1.fpa")).arg("assign"), "assigning");
    assert!(!success && output.contains("cannot be assigned"), "{output}");
}
