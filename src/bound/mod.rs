//! Bounds: the kinds, the check that one holds, and the repair where it does not yet.

pub(crate) mod block;
pub(crate) mod check;
mod kind;
pub(crate) mod pointwise;

pub use kind::Bound;
