//! The C ABI from real C: each program here is compiled against `include/fieldpress.h`, linked with the static library,
//! without ONNX Runtime, and run. The header is compared with what cbindgen makes of `src/ffi`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What Rust's standard library needs from a Unix system.
const SYSTEM_LIBRARIES: [&str; 4] = ["-lpthread", "-ldl", "-lm", "-lgcc_s"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The static library, beside this test: cargo builds all of the library's crate types for its tests.
fn library() -> PathBuf {
    let library = std::env::current_exe().unwrap().with_file_name("libfieldpress.a");
    assert!(library.exists(), "{} is missing; run these tests through cargo", library.display());
    library
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn compile(source: &str) -> PathBuf {
    // Two tests may compile the same source at the same time.
    let test = std::thread::current().name().unwrap_or("test").to_owned();
    let name = format!("{test}-{}", Path::new(source).file_stem().unwrap().to_str().unwrap());
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-D_POSIX_C_SOURCE=200809L", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pedantic"])
        .arg("-I")
        .arg(root().join("include"))
        .arg(root().join("tests/c_abi").join(source))
        .arg(library())
        .args(SYSTEM_LIBRARIES)
        .arg("-Wl,--no-undefined")
        .arg("-o")
        .arg(&program);
    succeed(&mut cc);
    program
}

/// Compiles and runs; the program checks itself, says what failed, and prints nothing else.
fn run(source: &str) {
    let output = succeed(&mut Command::new(compile(source)));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "the library must not print");
}

#[test]
fn round_trip() {
    run("round_trip.c");
}

#[test]
fn strided_interior() {
    run("strided.c");
}

#[test]
fn parts_of_a_field() {
    run("parts.c");
}

#[test]
fn windows_of_time_steps() {
    run("steps.c");
}

#[test]
fn values_that_are_not_data() {
    run("sentinels.c");
}

#[test]
fn errors() {
    run("errors.c");
}

#[test]
fn threads_share_a_handle() {
    run("threads.c");
}

#[test]
fn handles_work_after_a_fork() {
    run("fork.c");
}

#[test]
fn a_child_of_busy_threads_does_not_hang() {
    run("fork_busy.c");
}

#[test]
fn links_without_onnx_runtime() {
    let output = succeed(Command::new("ldd").arg(compile("round_trip.c")));
    let libraries = String::from_utf8_lossy(&output.stdout).into_owned();
    for name in ["onnxruntime", "netcdf", "hdf5", "stdc++"] {
        assert!(!libraries.contains(name), "{name} is linked:\n{libraries}");
    }
}

#[test]
fn header_is_cplusplus() {
    if Command::new("c++").arg("--version").output().is_err() {
        return;
    }
    let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join("header.cpp");
    std::fs::write(&source, "#include \"fieldpress.h\"\nint main() { return fieldpress_version() == nullptr; }\n")
        .unwrap();
    let mut compiler = Command::new("c++");
    compiler.args(["-std=c++11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only"]);
    succeed(compiler.arg("-I").arg(root().join("include")).arg(source));
}

/// Without the safety sections, which speak to Rust callers; C callers find the same in the arguments' comments.
fn for_c(header: &str) -> String {
    let mut out = String::new();
    let mut in_safety = false;
    for line in header.lines() {
        in_safety = line.starts_with("//") && (in_safety || line == "// # Safety");
        if !in_safety {
            out.push_str(line);
            out.push('\n');
        }
    }
    out.replace("//\nfieldpress_status ", "fieldpress_status ").replace("//\nvoid ", "void ")
}

#[test]
fn header_is_current() {
    header("cbindgen.toml", &["types.rs", "calls.rs", "steps.rs"], "fieldpress.h");
    header(
        "src/ffi/archive/cbindgen.toml",
        &["archive/types.rs", "archive/writer.rs", "archive/reader.rs"],
        "fieldpress_archive.h",
    );
}

/// Compares a header with what cbindgen makes of `sources`, or writes it.
fn header(config: &str, sources: &[&str], name: &str) {
    let config = cbindgen::Config::from_file(root().join(config)).unwrap();
    let builder = cbindgen::Builder::new().with_config(config);
    let builder = sources.iter().fold(builder, |builder, file| builder.with_src(root().join("src/ffi").join(file)));
    let mut written = Vec::new();
    builder.generate().unwrap().write(&mut written);
    let generated = for_c(&String::from_utf8(written).unwrap());
    let header = root().join("include").join(name);
    if std::env::var_os("FIELDPRESS_WRITE_HEADER").is_some() {
        std::fs::write(&header, generated).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&header).unwrap_or_default();
    assert!(
        committed == generated,
        "include/{name} is not what src/ffi says; write it anew with\n\
         FIELDPRESS_WRITE_HEADER=1 cargo test --test c_abi header_is_current"
    );
}
