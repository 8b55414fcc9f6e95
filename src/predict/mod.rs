//! predict

pub(crate) mod interpolator;
pub(crate) mod latents;
mod tiles;
