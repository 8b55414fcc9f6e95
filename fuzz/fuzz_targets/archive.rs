//! Hostile archives: opening, checking, reading and repairing any bytes gives an error or values, within time and
//! memory that follow from the bytes and the declared shapes; and what `repair` writes can be opened.
#![no_main]

use fieldpress::archive::{Reader, Selection, repair, VerifyDepth, verify};
use fieldpress::{DType, FieldViewMut, Options, Region};
use libfuzzer_sys::fuzz_target;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Variables with more points are not read whole: the caller, not the library, allocates a field, after having seen its
/// shape.
const MOST_POINTS: usize = 1 << 12;
/// So many variables are read of each archive.
const MOST: usize = 4;

fn options() -> Options {
    Options::default().with_threads(1)
}

fn read(reader: &Reader, variable: usize, selection: &Selection) {
    let Ok(info) = reader.variable(variable) else { return };
    let Ok(shape) = selection.output_shape(info) else { return };
    if shape.len() > MOST_POINTS {
        return;
    }
    match info.dtype {
        DType::F32 => {
            let mut out = vec![0f32; shape.len()];
            let mut view = FieldViewMut::new(&mut out, shape.dims()).expect("the buffer has the shape's length");
            let _ = reader.read(variable, selection, &mut view);
        }
        DType::F64 => {
            let mut out = vec![0f64; shape.len()];
            let mut view = FieldViewMut::new(&mut out, shape.dims()).expect("the buffer has the shape's length");
            let _ = reader.read(variable, selection, &mut view);
        }
    }
}

fn look(reader: &Reader) {
    let _ = verify(reader, VerifyDepth::Checksums);
    let variables = reader.definitions().variables.len();
    for variable in 0..variables.min(MOST) {
        let shape = reader.definitions().variables[variable].shape;
        // The first, one that may follow others, and the last.
        for step in [0, reader.steps() / 2, reader.steps().saturating_sub(1)] {
            let _ = reader.time(step);
            let _ = reader.commit_info(variable, step);
            read(reader, variable, &Selection { missing: Some(0.5), ..Selection::step(step) });
        }
        let middle = Region {
            start: shape.dims().iter().map(|n| n / 3).collect(),
            count: shape.dims().iter().map(|n| n.div_ceil(4)).collect(),
        };
        let steps = reader.steps().saturating_sub(3)..reader.steps();
        read(reader, variable, &Selection { steps, region: Some(middle), missing: None });
    }
}

/// Where a file in memory with these bytes can be opened, as long as it is held.
fn in_memory(bytes: &[u8]) -> (std::fs::File, PathBuf) {
    let descriptor = rustix::fs::memfd_create("archive", rustix::fs::MemfdFlags::CLOEXEC).expect("a file in memory");
    let mut file = std::fs::File::from(descriptor);
    file.write_all(bytes).expect("memory");
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    (file, path)
}

fuzz_target!(|bytes: &[u8]| {
    let (_file, path) = in_memory(bytes);
    if let Ok(reader) = Reader::open_with(&path, options()) {
        look(&reader);
    }
    // Rarely: it takes much longer than all else.
    if bytes.last().is_none_or(|byte| byte % 8 != 0) {
        return;
    }
    let saved = Path::new("/dev/shm").join(format!("fieldpress-fuzz-{}.fpa", std::process::id()));
    if repair(&path, &saved).is_ok() {
        let reader = Reader::open_with(&saved, options()).expect("what repair writes can be opened");
        let _ = verify(&reader, VerifyDepth::Checksums);
        std::fs::remove_file(&saved).expect("a file of ours");
    }
});
