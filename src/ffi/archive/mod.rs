//! The archive's part of the C ABI: the calls of `include/fieldpress_archive.h`, thin over [`crate::archive`].

mod reader;
mod types;
mod writer;

pub use reader::*;
pub use types::*;
pub use writer::*;
