//! Rate control: the steps at which a field's segments and windows are quantised, so that its error budget is used up.

pub(super) mod account;
pub(super) mod budget;
pub(super) mod control;
pub(super) mod enhanced;
pub(super) mod error_curve;
pub(super) mod feedback;
pub(super) mod forecast;
pub(super) mod step;
pub(super) mod survey;
