//! Coding without loss: chunks of values by pco, values that repeat, and whole fields of either.

mod chunk;
pub(super) mod field;
pub(super) mod outlook;
mod repeats;
