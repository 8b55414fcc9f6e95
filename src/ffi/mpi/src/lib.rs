//! Archives written by all ranks of an MPI job: the [`Communicator`](fieldpress::archive::Communicator) of
//! [`fieldpress::archive`] over MPI and MPI-IO, and the call of the C ABI that opens an archive with an `MPI_Comm`.
//!
//! A crate of its own and not a feature, so that nobody who writes serially needs MPI to build, and no build of a
//! workspace switches it on for all. Its static library holds the serial one's calls, too: programs link one or the
//! other.
//!
//! ```no_run
//! use fieldpress::archive::{Writer, WriterOptions};
//! let universe = mpi::initialize().unwrap();
//! let comm = fieldpress_mpi::MpiCommunicator::duplicate(&universe.world())?;
//! let writer = Writer::open(Box::new(comm), "run.fpa".as_ref(), WriterOptions::default())?;
//! # Ok::<(), fieldpress::Error>(())
//! ```
#![warn(missing_docs)]

mod calls;
mod communicator;
mod file;
mod raw;

pub use calls::*;
pub use communicator::MpiCommunicator;
pub use fieldpress;
