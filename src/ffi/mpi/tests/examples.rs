//! The examples: built by CMake as their users would, run, read back by another number of ranks, and compared with what
//! they should print.

mod run;

use run::{compiler, folder, mpicc, mpirun, watch};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").canonicalize().unwrap()
}

fn succeed(command: &mut Command) -> String {
    let (success, output, _) = watch(command, &format!("{command:?}"));
    assert!(success, "{command:?}: {output}");
    output
}

fn build(folder: &Path) {
    let library = std::env::current_exe().unwrap().with_file_name("libfieldpress_mpi.a");
    assert!(library.exists(), "{} is missing; run these tests through cargo", library.display());
    let mut cmake = Command::new("cmake");
    cmake.arg("-S").arg(root().join("mpi-examples")).arg("-B").arg(folder);
    cmake.arg("-DCMAKE_BUILD_TYPE=Release").arg(format!("-DFIELDPRESS_MPI_LIBRARY={}", library.display()));
    cmake.arg(format!("-DMPI_C_COMPILER={}", mpicc()));
    cmake.arg(format!("-DMPI_CXX_COMPILER={}", compiler("mpicxx")));
    cmake.arg(format!("-DMPI_Fortran_COMPILER={}", compiler("mpif90")));
    succeed(&mut cmake);
    succeed(Command::new("cmake").arg("--build").arg(folder).args(["--parallel", "2"]));
}

fn expected(name: &str) -> String {
    let path = root().join("mpi-examples").join(name).join("expected.txt");
    std::fs::read_to_string(&path).unwrap_or_default()
}

#[test]
fn examples_print_what_they_should() {
    let folder = folder("examples");
    build(&folder);
    let start = |ranks: usize, program: &str, arguments: &[&str]| {
        let mut command = mpirun(ranks);
        command.arg(folder.join(program)).args(arguments).current_dir(&folder);
        succeed(&mut command)
    };
    let mut printed = Vec::new();
    for (program, name) in [("gray_scott", "gray-scott"), ("shallow_water", "shallow-water")] {
        let archive = format!("{name}.fpa");
        let written = start(4, program, &["write", &archive]);
        for ranks in [1, 3] {
            assert_eq!(start(ranks, program, &["read", &archive]), written, "{name}, {ranks} ranks");
        }
        printed.push((name, written));
    }
    // The restart: 5 of 8 outputs by 3 ranks, the rest by 4; the same bits as without.
    assert_eq!(start(3, "heat", &["run", "heat.fpa", "8"]), "");
    start(3, "heat", &["run", "part.fpa", "5"]);
    start(4, "heat", &["run", "part.fpa", "8"]);
    let whole = start(2, "heat", &["read", "heat.fpa"]);
    assert_eq!(start(1, "heat", &["read", "part.fpa"]), whole);
    assert_eq!(whole.lines().count(), 8);
    printed.push(("heat", whole));
    // Names and coordinates reach readers.
    for (name, of_first, coordinates) in
        [("gray-scott", &["z", "y", "x"][..], 3), ("shallow-water", &["y", "x"], 2), ("heat", &["row", "column"], 0)]
    {
        let reader = fieldpress::archive::Reader::open(&folder.join(format!("{name}.fpa"))).unwrap();
        let names = reader.definitions().names();
        assert_eq!(names.dimensions[0], of_first, "{name}");
        assert_eq!(names.coordinates.len(), coordinates, "{name}");
        for coordinate in &names.coordinates {
            let axis = of_first.iter().position(|axis| *axis == coordinate.name).unwrap();
            assert_eq!(coordinate.values.len(), reader.definitions().variables[0].shape.dims()[axis], "{name}");
        }
    }
    for (name, printed) in printed {
        if std::env::var_os("FIELDPRESS_WRITE_EXPECTED").is_some() {
            std::fs::write(root().join("mpi-examples").join(name).join("expected.txt"), &printed).unwrap();
        }
        assert_eq!(printed, expected(name), "{name}");
    }
    if let Some(keep) = std::env::var_os("FIELDPRESS_KEEP_ARCHIVES") {
        for name in ["gray-scott", "shallow-water", "heat"] {
            std::fs::copy(folder.join(format!("{name}.fpa")), Path::new(&keep).join(format!("{name}.fpa"))).unwrap();
        }
    }
}
