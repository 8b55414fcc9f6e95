//! Bounds that are relative at each point: a field as the logarithms of its magnitudes, which are a field of their own,
//! and its signs.
//!
//! In: a field. Out: a stream whose logarithms to base 2 are coded as any field is under an absolute bound. Zeros and
//! points without data are NaNs among the logarithms, so that the mask brings them back. Beside them stand the signs,
//! and the few values that rounding brings out of the bound, bit for bit.

mod decompress;
mod encode;
mod power;
mod side;

pub(super) use decompress::decompress;
pub(super) use encode::compress;

use crate::field::{DType, Element};

/// The bits of the NaN that stands for the special pattern of class 1; those of the other classes follow.
fn first_nan<L: Element>() -> u64 {
    match L::DTYPE {
        DType::F32 => 0x7fc0_0000,
        DType::F64 => 0x7ff8_0000_0000_0000,
    }
}
