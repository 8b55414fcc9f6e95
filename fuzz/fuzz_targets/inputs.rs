//! Hostile inputs of the tool: any bytes that are said to be a NumPy or a NetCDF file give an error or a field. The
//! tool is no library, so its readers are a part of this program.
//!
//! The first byte says which reader gets the rest. What NetCDF's library does with bytes is its own: it is not built
//! for fuzzing, and what it gives back is looked at here.
#![no_main]
#![allow(dead_code)]

#[path = "../../cli/src/classic.rs"]
mod classic;
#[path = "../../cli/src/failure.rs"]
mod failure;
#[path = "../../cli/src/netcdf_in.rs"]
mod netcdf_in;
#[path = "../../cli/src/npy.rs"]
mod npy;
#[path = "../../cli/src/source.rs"]
mod source;
#[path = "../../cli/src/target.rs"]
mod target;

use libfuzzer_sys::fuzz_target;
use std::io::{Cursor, Write};
use std::os::fd::AsRawFd;

/// Where a file in memory with these bytes can be opened, as long as it is held.
fn in_memory(bytes: &[u8]) -> (std::fs::File, String) {
    let descriptor = rustix::fs::memfd_create("input", rustix::fs::MemfdFlags::CLOEXEC).expect("a file in memory");
    let mut file = std::fs::File::from(descriptor);
    file.write_all(bytes).expect("memory");
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    (file, path)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else { return };
    if kind % 2 == 0 {
        let _ = npy::read_header(&mut Cursor::new(rest));
        return;
    }
    let (_file, path) = in_memory(rest);
    let _ = source::read_field(&format!("{path}:u"), source::Expected::default());
});
