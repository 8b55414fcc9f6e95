//! The archive: the output of all ranks of a job, many fields and many steps, in one file.
//!
//! In: boxes of fields, from any number of ranks through a [`Communicator`]. Out: one file whose committed steps read
//! back whole whatever happened after, by any number of ranks, or none. `docs/archive.md` describes it to the byte.
//!
//! ```text
//! open ─ locked; made, or its end found; all ranks told        lock, held, opening
//! put ─ keep until the window is full                          writer, pending
//!   are all ranks well, and told the same?                     agreement
//!   ranges and error budgets of the global field               budget
//!   each rank compresses its boxes by itself                   codec
//!   lengths become offsets, data goes out                      commit, communicator
//!   entries are gathered, checked for overlap and committed    overlap, index, front, layout, held
//! read ─ superblock, slots, records ─ chunks that a box touches   summary, records, reader, shared, decode,
//!                                                                  verify, repair
//! ```
//!
//! A step is committed by its record, written after its data and checksummed, and a slot beside the superblock that
//! names the record. There are two slots, written in turn, so that a slot that is half-written leaves the other one;
//! and all of it is there twice, so that the loss of a block leaves the other one.

mod agreement;
mod budget;
mod buffer;
mod chain;
mod coded;
mod commit;
mod communicator;
mod decode;
mod definitions;
mod files;
mod front;
mod held;
mod index;
mod layout;
mod lock;
mod names;
mod opening;
mod options;
mod overlap;
mod pending;
mod progress;
mod reader;
mod records;
mod repair;
mod selection;
mod shared;
mod signal;
mod summary;
mod verify;
mod writer;

pub use communicator::{Communicator, Placed, Serial, SharedFile, SyncBy};
pub use definitions::{Attribute, Definitions, FILL_VALUE, VariableInfo};
pub use front::is_archive;
pub use index::Chunk;
pub use names::{Coordinate, Names, is_conventional};
pub use options::{ARCHIVE_OPTION_KEYS, Mode, Write, WriterOptions};
pub use progress::{Phase, StepReport};
pub use reader::{CommitInfo, Reader};
pub use repair::{Loss, Repaired, repair};
pub use selection::Selection;
pub use verify::{Damage, Verified, VerifyDepth, verify};
pub use writer::{VariableId, Writer};
