//! The error contract: a kind and a value.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// An error bound, checked on the decoded values in the caller's type. `x` is the original, `x̂` the decoded field;
/// masked points (NaN, ±Inf, the fill value) are bit-exact and do not count. *Range* is max − min over the valid
/// points.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Bound {
    /// `|x − x̂| ≤ ε` at every point, in the field's units.
    Abs(f64),
    /// `|x − x̂| ≤ ε · range` at every point.
    Rel(f64),
    /// Root mean square of `x − x̂` at most `ε · range`.
    Nrmse(f64),
    /// `20 log10(range / RMSE)` at least this many dB.
    Psnr(f64),
    /// Every 8×8×8 block's ℓ2 norm of `x − x̂` at most τ, in the field's units (blocks at the edges are smaller).
    BlockL2(f64),
    /// Every bit as it was.
    Lossless,
    /// `|x − x̂| ≤ ε · |x|` at every point: zeros and signs are exact.
    PwRel(f64),
}

impl Bound {
    /// The names that [`FromStr`] takes before `=`.
    pub const NAMES: [&'static str; 7] = ["abs", "rel", "nrmse", "psnr", "block_l2", "lossless", "pw_rel"];

    /// The kind's name as in [`Bound::NAMES`].
    pub fn name(&self) -> &'static str {
        match self {
            Self::Abs(_) => "abs",
            Self::Rel(_) => "rel",
            Self::Nrmse(_) => "nrmse",
            Self::Psnr(_) => "psnr",
            Self::BlockL2(_) => "block_l2",
            Self::Lossless => "lossless",
            Self::PwRel(_) => "pw_rel",
        }
    }

    /// The value; 0 for `lossless`.
    pub fn value(&self) -> f64 {
        match *self {
            Self::Abs(v) | Self::Rel(v) | Self::Nrmse(v) | Self::Psnr(v) | Self::BlockL2(v) | Self::PwRel(v) => v,
            Self::Lossless => 0.0,
        }
    }

    /// A bound from its name and value.
    ///
    /// # Errors
    /// `InvalidArgument` for an unknown name or a value that is not finite and positive.
    pub fn from_parts(name: &str, value: f64) -> Result<Self> {
        let bound = match name {
            "abs" => Self::Abs(value),
            "rel" => Self::Rel(value),
            "nrmse" => Self::Nrmse(value),
            "psnr" => Self::Psnr(value),
            "block_l2" => Self::BlockL2(value),
            "pw_rel" => Self::PwRel(value),
            "lossless" => return Ok(Self::Lossless),
            _ => {
                return Err(Error::invalid(format!(
                    "bound '{name}' is not known; expected one of {}",
                    Self::NAMES.join(", ")
                )));
            }
        };
        if !(value.is_finite() && value > 0.0) {
            return Err(Error::invalid(format!("bound {name}={value}: the value must be finite and greater than 0")));
        }
        Ok(bound)
    }
}

impl FromStr for Bound {
    type Err = Error;

    /// `nrmse=4e-3`, `abs=0.1`, …, `lossless`; what [`Display`](fmt::Display) writes, too.
    fn from_str(text: &str) -> Result<Self> {
        let Some((name, value)) = text.split_once('=') else {
            return match text {
                "lossless" => Ok(Self::Lossless),
                _ => Err(Error::invalid(format!(
                    "bound '{text}' is not of the form kind=value (for example nrmse=4e-3) or lossless"
                ))),
            };
        };
        if name == "lossless" {
            return Err(Error::invalid(format!("bound '{text}': lossless has no value; expected lossless alone")));
        }
        let value = value.parse().map_err(|_| {
            Error::invalid(format!("bound '{text}': '{value}' is not a number; expected one, as in nrmse=4e-3"))
        })?;
        Self::from_parts(name, value)
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lossless => f.write_str("lossless"),
            other => write!(f, "{}={}", other.name(), other.value()),
        }
    }
}
