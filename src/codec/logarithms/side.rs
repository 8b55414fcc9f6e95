//! What stands beside the logarithms of a run of values in C order: their signs, and values kept bit for bit.
//!
//! Signs are coded under those of the points around, of the run alone, in three contexts that are mixed: a box reads
//! the runs that it touches, and signs need nothing else.

use crate::bytes::{Reader, Writer};
use crate::entropy::{BitCoder, Counter, Decoder, Encoder, Mixer, probability, stretch};
use crate::error::{Error, Result};
use crate::field::{Element, Shape};

/// How far back the counters remember, and the mixer's learning rate.
const LIMIT: u32 = 250;
const RATE: i32 = 3;
/// Bits of the three contexts.
const BITS: [usize; 3] = [3, 8, 10];
/// The mixer's input besides them.
const BIAS: i32 = 256;

/// Distances in C order to the points whose signs make contexts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    near: [usize; BITS[0]],
    row: [usize; BITS[1]],
    frame: [usize; BITS[2]],
}

impl Around {
    /// Those in a field of this shape.
    pub(super) fn of(shape: &Shape) -> Self {
        let dims = shape.dims();
        let r = dims[dims.len() - 1];
        let f = r * dims.iter().rev().nth(1).copied().unwrap_or(1);
        Self {
            near: [1, r, f],
            row: [1, 2, 3, r - 1, r, r + 1, r + 2, 2 * r],
            frame: [1, r - 1, r, r + 1, f - 1, f, f + 1, f - r, f + r, 2 * f],
        }
    }
}

/// The context of the signs at some distances before place `at`; those outside of the run are 0.
#[inline(always)]
fn context(signs: &[u8], at: usize, distances: &[usize]) -> usize {
    distances.iter().fold(0, |context, &distance| {
        // A distance of 0 leads to the point itself, which is not known.
        let known = if distance == 0 { None } else { at.checked_sub(distance) };
        context << 1 | known.map_or(0, |place| usize::from(signs[place]))
    })
}

/// Codes the signs of a run, 1 for negative, or when decoding fills them in.
fn code_signs<C: BitCoder>(coder: &mut C, signs: &mut [u8], around: &Around) {
    let mut counters = BITS.map(|bits| vec![Counter::default(); 1 << bits]);
    let mut mixer = Mixer::<4>::new(1 << BITS[0], 65536 * 4 / 10);
    for at in 0..signs.len() {
        let near = context(signs, at, &around.near);
        let places = [near, context(signs, at, &around.row), context(signs, at, &around.frame)];
        let [a, b, c] = std::array::from_fn(|k| stretch(counters[k][places[k]].p1()));
        let inputs = [a, b, c, BIAS];
        let mixed = mixer.mix(&inputs, near);
        let bit = coder.bit(signs[at] == 1, probability(mixed, mixed));
        signs[at] = u8::from(bit);
        mixer.update(&inputs, bit, RATE);
        for (counters, place) in counters.iter_mut().zip(places) {
            counters[place].update(bit, LIMIT);
        }
    }
}

/// What a section holds of a run of values.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Side {
    /// One for each value, 1 for negative; what stands where there is no sign says nothing.
    pub(super) signs: Vec<u8>,
    /// Places of values that are kept, rising, and their bits.
    pub(super) kept: Vec<(usize, u64)>,
}

impl Side {
    /// The section's bytes, of values of type `T`.
    pub(super) fn write<T: Element>(&self, around: &Around) -> Vec<u8> {
        let mut writer = Writer::default();
        let mut code = Vec::new();
        if self.signs.contains(&1) {
            let mut coder = Encoder::new(Vec::new());
            code_signs(&mut coder, &mut self.signs.clone(), around);
            code = coder.finish();
        } else if self.kept.is_empty() {
            return writer.bytes;
        }
        writer.varint(code.len() as u64);
        writer.bytes.extend_from_slice(&code);
        let mut next = 0;
        for &(place, bits) in &self.kept {
            writer.varint((place - next) as u64);
            writer.bytes.extend_from_slice(&bits.to_le_bytes()[..T::DTYPE.size()]);
            next = place + 1;
        }
        writer.bytes
    }

    /// What a section holds of `count` values of type `T`.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(super) fn read<T: Element>(bytes: &[u8], count: usize, around: &Around) -> Result<Self> {
        let mut side = Self { signs: vec![0; count], kept: Vec::new() };
        if bytes.is_empty() {
            return Ok(side);
        }
        let mut reader = Reader::new(bytes);
        let length = reader.length()?;
        let code = reader.bytes(length)?;
        if !code.is_empty() {
            let mut coder = Decoder::new(code);
            code_signs(&mut coder, &mut side.signs, around);
            coder.finish()?;
        }
        let mut next = 0;
        while reader.remaining() > 0 {
            let place = reader.varint()?.checked_add(next).filter(|&place| place < count as u64);
            let place = place.ok_or_else(|| Error::corrupt("a value that is kept lies beyond its section's"))?;
            let mut bits = [0; 8];
            bits[..T::DTYPE.size()].copy_from_slice(reader.bytes(T::DTYPE.size())?);
            side.kept.push((place as usize, u64::from_le_bytes(bits)));
            next = place + 1;
        }
        Ok(side)
    }

    /// Puts those values in place that are kept of the run from `first` on.
    pub(super) fn put_kept<T: Element>(&self, first: usize, out: &mut [T]) {
        let [from, until] = [first, first + out.len()].map(|end| self.kept.partition_point(|&(place, _)| place < end));
        for &(place, bits) in &self.kept[from..until] {
            out[place - first] = T::from_bits_u64(bits);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sections_survive(
            signs in prop::collection::vec(0u8..2, 1..600),
            kept in prop::collection::btree_map(0usize..600, any::<u64>(), 0..9),
            row in 1usize..40,
        ) {
            let shape = Shape::new(&[9, 4, row]).unwrap();
            let kept: Vec<(usize, u64)> = kept.into_iter().filter(|(place, _)| *place < signs.len()).collect();
            let side = Side { signs, kept };
            let bytes = side.write::<f64>(&Around::of(&shape));
            let read = Side::read::<f64>(&bytes, side.signs.len(), &Around::of(&shape)).unwrap();
            prop_assert_eq!(&read, &side);
            let mut whole = vec![0.5f64; side.signs.len()];
            side.put_kept(0, &mut whole);
            for (place, bits) in side.kept {
                prop_assert_eq!(whole[place].to_bits(), bits);
            }
        }
    }

    #[test]
    fn areas_of_a_sign_take_next_to_nothing() {
        let (rows, columns) = (256, 256);
        let mut side = Side { signs: vec![1; rows * columns], kept: Vec::new() };
        let shape = Shape::new(&[rows, columns]).unwrap();
        assert!(side.write::<f32>(&Around::of(&shape)).len() < 64);
        for (i, sign) in side.signs.iter_mut().enumerate() {
            *sign = u8::from((i / columns) * 3 + (i % columns) * 2 > 600);
        }
        let bytes = side.write::<f32>(&Around::of(&shape)).len();
        assert!(bytes < 128, "{bytes}");
        side.signs.fill(0);
        assert!(side.write::<f32>(&Around::of(&shape)).is_empty());
    }

    #[test]
    fn damage_is_found() {
        let around = Around::of(&Shape::new(&[10]).unwrap());
        let side = Side { signs: vec![0; 10], kept: vec![(9, 7)] };
        let bytes = side.write::<f32>(&around);
        for (bytes, count) in [(&bytes[..], 9), (&bytes[..5], 10), (&[9][..], 10), (&[7, 0, 0, 0, 0, 0, 0, 0][..], 10)]
        {
            assert!(Side::read::<f32>(bytes, count, &around).is_err(), "{bytes:?}");
        }
    }
}
