//! Powers of two, by operations that round alike on every machine, and the logarithms that lead to them.

use crate::bound::check::is_within_relative;
use crate::error::{Error, Result};
use crate::field::{DType, Element, Specials};

/// 2^52 + 2^51: what is added to it is rounded to a whole number, whose two's complement its lowest bits then are.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
/// Exponents beyond these make 0 and infinity.
const MOST: f64 = 1100.0;
/// (ln 2)^k / k!, k from 0: the series of 2^f.
const SERIES: [f64; 14] = [
    1.0,
    std::f64::consts::LN_2,
    0.240_226_506_959_100_72,
    0.055_504_108_664_821_58,
    0.009_618_129_107_628_477,
    0.001_333_355_814_642_844_3,
    0.000_154_035_303_933_816_1,
    1.525_273_380_405_984_1e-5,
    1.321_548_679_014_431e-6,
    1.017_808_600_923_97e-7,
    7.054_911_620_801_123e-9,
    4.445_538_271_870_811_6e-10,
    2.567_843_599_348_820_6e-11,
    1.369_148_885_390_412_8e-12,
];

/// 2^`exponent`, within some units in the last place.
#[inline(always)]
fn power_of_two(exponent: f64) -> f64 {
    let exponent = exponent.clamp(-MOST, MOST);
    let rounded = exponent + ROUNDER;
    let fraction = exponent - (rounded - ROUNDER);
    let series = SERIES.iter().rev().fold(0.0, |sum, factor| sum * fraction + factor);
    // In two parts, of which the first is exact and the second rounds once, also where the power is subnormal.
    let whole = rounded.to_bits() as i32;
    let part = |n: i32| f64::from_bits(((n + 1023) as u64) << 52);
    series * part(whole >> 1) * part(whole - (whole >> 1))
}

/// The values of some logarithms and signs (1 for negative).
///
/// # Errors
/// `Corrupt` where a NaN stands for none of the special patterns.
pub(super) fn restore<T: Element, L: Element>(
    logarithms: &[L],
    signs: &[u8],
    specials: &Specials,
    out: &mut [T],
) -> Result<()> {
    let mut any_nan = false;
    for ((slot, logarithm), &sign) in out.iter_mut().zip(logarithms).zip(signs) {
        let exponent = logarithm.to_f64();
        any_nan |= exponent.is_nan();
        *slot = T::from_f64(power_of_two(exponent) * (1.0 - 2.0 * f64::from(sign)));
    }
    if any_nan {
        for (slot, logarithm) in out.iter_mut().zip(logarithms).filter(|(_, log)| log.to_f64().is_nan()) {
            let class = (logarithm.to_bits_u64() & 0xff) as u8;
            let bits = class.checked_add(1).and_then(|class| specials.bits(class));
            let unknown =
                || Error::corrupt(format!("a logarithm stands for the special pattern {class}: there is none"));
            *slot = T::from_bits_u64(bits.ok_or_else(unknown)?);
        }
    }
    Ok(())
}

/// Where a value lies on the scale of logarithms, so that an error of `bound` there is within the relative bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogScale {
    /// What is added to logarithms: what may be lost below a value is more of them than what may be lost above it.
    shift: f64,
    /// The absolute bound of logarithms.
    pub(super) bound: f64,
    /// The type that they have.
    pub(super) dtype: DType,
}

/// Bounds above this are taken for this.
const LOOSEST: f64 = 0.5;
/// What powers of two, as computed here, may be off by, over the power.
const POWER_ERROR: f64 = 1e-15;
/// Logarithms are f32 where their rounding takes no more than this share of the bound, and are coded at all where
/// that of f64 does not.
const ROUNDING: f64 = 1.0 / 64.0;

impl LogScale {
    /// The scale for a bound on values of type `T`, whose magnitudes lie from the one to the other of `extent`; `None`
    /// where the rounding of logarithms leaves too little of it.
    pub(super) fn new<T: Element>(epsilon: f64, extent: (f64, f64)) -> Option<Self> {
        let cast = if T::DTYPE == DType::F32 { f64::from(f32::EPSILON) / 2.0 } else { 0.0 };
        let epsilon = epsilon.min(LOOSEST) - cast - POWER_ERROR;
        if epsilon <= 0.0 {
            return None;
        }
        let [above, below] = [epsilon, -epsilon].map(|error| libm::log1p(error) / std::f64::consts::LN_2);
        let (shift, half) = ((above + below) / 2.0, (above - below) / 2.0);
        let largest = libm::log2(extent.0).abs().max(libm::log2(extent.1).abs()) + shift.abs();
        let dtype = [(DType::F32, f64::from(f32::EPSILON)), (DType::F64, f64::EPSILON)];
        let (dtype, rounding) = dtype.into_iter().find(|(_, unit)| largest.max(1.0) * unit <= ROUNDING * half)?;
        Some(Self { shift, bound: half - largest.max(1.0) * rounding, dtype })
    }

    /// The logarithm of a value that is neither 0 nor special.
    pub(super) fn logarithm(&self, value: f64) -> f64 {
        libm::log2(value.abs()) + self.shift
    }
}

/// Whether a decoded value is within the bound: zeros and signs are exact.
pub(super) fn holds<T: Element>(original: T, decoded: T, epsilon: f64) -> bool {
    original.to_bits_u64() == decoded.to_bits_u64() || is_within_relative(original.to_f64(), decoded.to_f64(), epsilon)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_series_is_that_of_powers() {
        let mut factor = 1.0f64;
        for (k, &known) in SERIES.iter().enumerate() {
            assert!((known / factor - 1.0).abs() < 1e-15, "{k}: {known} {factor}");
            factor *= std::f64::consts::LN_2 / (k + 1) as f64;
        }
    }

    #[test]
    fn whole_powers_are_exact() {
        for n in -1100..=1100 {
            assert_eq!(power_of_two(f64::from(n)), libm::ldexp(1.0, n), "{n}");
        }
        assert_eq!((power_of_two(f64::INFINITY), power_of_two(f64::NEG_INFINITY)), (f64::INFINITY, 0.0));
    }

    proptest! {
        #[test]
        fn powers_are_near(exponent in -1022.0f64..1023.9) {
            let (own, known) = (power_of_two(exponent), libm::exp2(exponent));
            prop_assert!((own / known - 1.0).abs() < POWER_ERROR, "{exponent}: {own} {known}");
        }

        #[test]
        fn an_error_within_the_scale_is_within_the_bound(bits: u64, share in -1.0f64..1.0, digits in 0.31f64..9.0) {
            let value = f64::from_bits(bits & !(1 << 63));
            prop_assume!(value.is_normal());
            let epsilon = 10f64.powf(-digits);
            let scale = LogScale::new::<f64>(epsilon, (value, value)).unwrap();
            let decoded = power_of_two(scale.logarithm(value) + share * scale.bound);
            prop_assert!(decoded.is_infinite() || holds(value, decoded, epsilon), "{value} {decoded} {epsilon}");
        }
    }
}
