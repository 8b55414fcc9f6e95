//! Bounds: what was promised, the check that it holds, and the repair where it does not yet.

#[allow(dead_code)]
pub(crate) mod block;
mod kind;

pub use kind::Bound;
