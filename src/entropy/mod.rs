//! entropy

mod latents;

pub(crate) use latents::{LatentsDecoder, LatentsEncoder, MAX_VALUE as LATENTS_MAX_VALUE};
