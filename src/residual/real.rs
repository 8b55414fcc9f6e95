//! The working precision: f32 where the bound allows it, f64 where it is finer than f32 resolves.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

/// A working float type and the integer type of its quantised values.
pub(crate) trait Real:
    Copy
    + Debug
    + Default
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + Sum
    + 'static
{
    /// Quantiser indices: i32 or i64.
    type Index: Index;
    fn from_f64(value: f64) -> Self;
    fn to_f64(self) -> f64;
    fn abs(self) -> Self;
    /// The largest whole number that is not above a value in 0..=[`Index::LIMIT`], as both types. Without the
    /// processor's conversion, whose edge cases keep loops from being vectorised.
    fn floor(self) -> (Self::Index, Self);
    fn from_index(index: Self::Index) -> Self;
}

/// A quantiser index.
pub(crate) trait Index: Copy + Debug + Default + PartialEq + Send + Sync + 'static {
    /// The largest magnitude that the codec uses; beyond it a field is coded without loss.
    const LIMIT: u64;
    fn from_i64(value: i64) -> Self;
    fn to_i64(self) -> i64;
    fn negative(self) -> Self;
    /// Its bits with those of another one.
    fn or(self, other: Self) -> Self;
    /// Itself, or the nearest i32 within ±(2^31 − 1).
    fn saturated(self) -> i32;
}

macro_rules! real {
    ($float:ty, $int:ty, $limit:expr) => {
        impl Real for $float {
            type Index = $int;
            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as $float
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn abs(self) -> Self {
                <$float>::abs(self)
            }
            #[inline(always)]
            fn floor(self) -> ($int, Self) {
                // The mantissa of 2^DIGITS plus a number is that number, rounded.
                const DIGITS: u32 = <$float>::MANTISSA_DIGITS - 1;
                let unit = (1u64 << DIGITS) as $float;
                let shifted = self + unit;
                let rounded = shifted - unit;
                let above = rounded > self;
                let index = (shifted.to_bits() & ((1 << DIGITS) - 1)) as $int;
                (index - <$int>::from(above), rounded - if above { 1.0 } else { 0.0 })
            }
            #[inline(always)]
            fn from_index(index: $int) -> Self {
                index as $float
            }
        }
        impl Index for $int {
            const LIMIT: u64 = $limit;
            #[inline(always)]
            fn from_i64(value: i64) -> Self {
                value as $int
            }
            #[inline(always)]
            fn to_i64(self) -> i64 {
                i64::from(self)
            }
            #[inline(always)]
            fn negative(self) -> Self {
                -self
            }
            #[inline(always)]
            fn or(self, other: Self) -> Self {
                self | other
            }
            #[inline(always)]
            fn saturated(self) -> i32 {
                self.clamp(-<$int>::from(i32::MAX), <$int>::from(i32::MAX)) as i32
            }
        }
    };
}
// An f32 holds integers exactly up to 2^24; an f64 up to 2^53.
real!(f32, i32, 1 << 22);
real!(f64, i64, 1 << 51);
