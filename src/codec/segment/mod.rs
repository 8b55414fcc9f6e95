//! A segment: a run of windows of one tile with one adaptive state, encoded and decoded.

pub(super) mod checked;
pub(super) mod closed_loop;
mod coefficients;
pub(super) mod context;
mod corrections;
pub(super) mod decode;
pub(super) mod encode;
pub(crate) mod fingerprint;
pub(super) mod frames;
mod low_resolution;
pub(super) mod reference;
mod side_info;
pub(super) mod state;
mod units;
