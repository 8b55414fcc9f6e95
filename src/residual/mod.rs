//! The residual coder: temporal basis, wavelet, quantiser, and the context coder of its indices.

pub(crate) mod bands;
pub(crate) mod basis;
pub(crate) mod contexts;
pub(crate) mod kernels;
pub(crate) mod layout;
mod mixed_bit;
mod neighbours;
pub(crate) mod priors;
pub(crate) mod quantise;
pub(crate) mod real;
pub(crate) mod refine;
pub(crate) mod spectrum;
pub(crate) mod tabled;
pub(crate) mod wavelet;
