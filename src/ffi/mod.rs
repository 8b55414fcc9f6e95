//! The C ABI: the calls of `include/fieldpress.h`, thin over [`Codec`](crate::Codec).
//!
//! In: pointers from C, checked before they are followed. Out: a status, and a sentence for the calling thread. Nothing
//! here prints, exits, or unwinds into the caller. Names are the C names, so that a search from either side finds both;
//! the header is generated from these files (`cbindgen.toml`), and a test compares the two. Guard and pointers are
//! public for the crate that adds MPI.
#![allow(non_camel_case_types)]

mod archive;
mod calls;
#[doc(hidden)]
pub mod guard;
#[doc(hidden)]
pub mod pointers;
mod steps;
mod types;

#[doc(hidden)]
pub use crate::fork_lock::ForkLock;
pub use archive::*;
pub use calls::*;
#[doc(hidden)]
pub use guard::caught;
pub use steps::*;
pub use types::*;
