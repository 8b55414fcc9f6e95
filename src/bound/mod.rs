//! Bounds: what was promised, the check that it holds, and the repair where it does not yet.

pub(crate) mod block;
pub(crate) mod check;
mod kind;
pub(crate) mod pointwise;

pub use kind::Bound;
