//! What a field is compressed to: a bound, or a size.

use crate::dataset::VariableBound;
use std::str::FromStr;

/// What a field is compressed to.
#[derive(Clone, Debug, PartialEq)]
pub enum Goal {
    /// Values under a bound.
    Bound(VariableBound),
    /// A stream of at most the field's bytes over this.
    Ratio(f64),
}

impl FromStr for Goal {
    type Err = fieldpress::Error;

    fn from_str(text: &str) -> fieldpress::Result<Self> {
        let Some(ratio) = text.strip_prefix("ratio=") else { return text.parse().map(Self::Bound) };
        let number = ratio.parse().ok().filter(|ratio| (1.0..f64::INFINITY).contains(ratio));
        let expected =
            || fieldpress::Error::invalid(format!("ratio={ratio} is not valid; expected a number from 1 on"));
        number.map(Self::Ratio).ok_or_else(expected)
    }
}
