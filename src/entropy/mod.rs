//! Entropy coding: a binary arithmetic coder and the adaptive integer models that drive it.
//!
//! Everything that a decoder's decisions depend on is integer arithmetic, or comes from tables computed by software
//! floats that round alike everywhere, so that a stream decodes the same on every machine.

mod arithmetic;
mod bit_string;
mod latents;
mod models;
mod tokens;

pub(crate) use arithmetic::{BitCoder, Cost, Decoder, Encoder};
pub(crate) use latents::{LatentsDecoder, LatentsEncoder, MAX_VALUE as LATENTS_MAX_VALUE};
pub(crate) use models::{Counter, Mixer, probability, stretch};
pub(crate) use tokens::{AnyReader, HALF, MOST_CLASSES, MOST_TOKENS, STRIP, Tables, TokenCoder, TokenWriter};
