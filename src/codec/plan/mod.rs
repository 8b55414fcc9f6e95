//! Mode decision: how a segment is coded, from trials on a sample of it.

pub(super) mod candidate;
pub(super) mod choose;
mod compare;
mod refine;
mod trial;
