//! Closed-loop prediction: each point is predicted from values as a decoder will have them, and what is left is
//! quantised to bins of twice the bound, so that no point errs by more.
//!
//! In: the windows of a segment, which of their points are not data, the range of the field's values and the bound.
//! Out: bytes; and back, to the same values on every machine. Data that are not smooth (fronts, counts, walks, sparse
//! or sorted values) are coded best so: a transform spreads each edge over many coefficients, and its errors have to be
//! corrected point by point.
//!
//! Points are predicted by levels, from both sides ([`interpolate`]), or in C order from those behind ([`lorenzo`],
//! [`causal`]); the encoder chooses between them on a sample ([`tune`]) and fits weights to each window ([`fit`]). What
//! indices are coded under says most about their cost ([`indices`]).

mod causal;
mod coder;
mod fit;
mod indices;
mod interpolate;
mod levels;
mod lorenzo;
mod offset;
mod quantise;
mod run;
mod samples;
mod section;
mod taps;
#[cfg(test)]
mod tests;
mod tune;
mod work;

pub(crate) use coder::{Window, WindowDecoder, WindowEncoder, window_frames};
pub(crate) use offset::Account;
pub(crate) use section::{BALANCED, Parameters};
pub(crate) use tune::{Choice, Place, Search, Subject, boxes};
