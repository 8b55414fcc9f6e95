//! Bounds: what was promised, the check that it holds, and the repair where it does not yet.

mod kind;

pub use kind::Bound;
