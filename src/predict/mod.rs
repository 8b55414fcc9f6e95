//! predict

pub(crate) mod interpolator;
mod tiles;
