//! Coding without loss: chunks of values by pco, and whole fields of them.

mod chunk;
pub(super) mod field;
