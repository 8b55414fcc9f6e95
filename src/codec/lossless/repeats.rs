//! Lossless coding of values that repeat: those that were there before are copied from where they were, the others go
//! through [`chunk`].
//!
//! Layout: how many values are new (u32), the length of the copies' code (u32), that code, and the new values as
//! [`chunk::encode`] writes them. The code is a list of copies, each: how many new values come before it, how many
//! values it has less one, and its distance: one of the last four, counted from the latest, or another, less one. After
//! the last copy comes the number of new values that are left, where there are any.

use super::chunk;
use crate::bytes::{Reader, Writer};
use crate::entropy::{BitCoder, Cost, Counter, Decoder, Encoder};
use crate::error::{Error, Result};
use crate::field::Element;

/// Distances that are kept in mind.
const RECENT: usize = 4;
/// Values that a copy from one of those, or from elsewhere, must have.
const LEAST_RECENT: usize = 2;
const LEAST: usize = 4;
/// Entries of the table of places, as a power of two.
const TABLE_BITS: u32 = 18;
/// So many values without a copy make the search for the next one a place coarser.
const PATIENCE: usize = 16;
/// What no counter may remember beyond.
const LIMIT: u32 = 60;
/// The most bits that a number has, less one.
const MOST_BITS: u32 = 31;
/// Bits after a number's leading one that are modelled.
const MODELLED: u32 = 3;

/// Values that are new, and then values that are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Copy {
    new: usize,
    count: usize,
    distance: usize,
}

/// What a run of values repeats of itself.
pub(super) struct Repeats {
    copies: Vec<Copy>,
    /// Values that are not copied.
    new: usize,
}

impl Repeats {
    /// Finds copies; steps of at most `coarsest` places are made where there are none. `near`: distances at which values
    /// may well repeat, as of rows and frames.
    pub(super) fn find<T: Element>(values: &[T], near: [usize; 2], coarsest: usize) -> Self {
        let bits = |at: usize| values[at].to_bits_u64();
        let mut table = vec![u32::MAX; 1 << TABLE_BITS];
        let mut recent = [1, near[0].max(1), near[1].max(1), 1];
        let (mut at, mut after, mut misses, mut chance) = (0, 0, 0usize, 1u32);
        let mut out = Self { copies: Vec::new(), new: values.len() };
        while at < values.len() {
            let length = |distance: usize| (at..values.len()).take_while(|&i| bits(i) == bits(i - distance)).count();
            let mut best = (LEAST_RECENT - 1, 0);
            for distance in recent {
                if distance <= at && bits(at) == bits(at - distance) {
                    let found = length(distance);
                    if found > best.0 {
                        best = (found, distance);
                    }
                }
            }
            if at + LEAST <= values.len() {
                let slot = &mut table[hash([bits(at), bits(at + 1), bits(at + 2), bits(at + 3)])];
                let before = std::mem::replace(slot, at as u32) as usize;
                if best.0 < LEAST && before < at {
                    let found = length(at - before);
                    if found >= LEAST {
                        best = (found, at - before);
                    }
                }
            }
            let (count, distance) = best;
            if distance == 0 {
                // By chance, so that values at any distance meet.
                chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                misses += 1;
                at += 1 + (((chance >> 16) as usize * (misses / PATIENCE).min(coarsest - 1) * 2) >> 16);
                continue;
            }
            let room = (at - after).min(at - distance);
            let earlier = (1..=room).take_while(|&i| bits(at - i) == bits(at - i - distance)).count();
            let count = count + earlier;
            out.copies.push(Copy { new: at - earlier - after, count, distance });
            out.new -= count;
            remember(&mut recent, distance);
            (at, misses) = (at - earlier + count, 0);
            after = at;
        }
        out
    }

    /// The values that are not copied, in order.
    pub(super) fn new_values<'v, T: Element>(&self, values: &'v [T]) -> impl Iterator<Item = &'v [T]> {
        let mut at = 0;
        let runs = self.copies.iter().map(move |copy| {
            let from = at;
            at += copy.new + copy.count;
            from..from + copy.new
        });
        let tail = self.copies.iter().map(|copy| copy.new + copy.count).sum::<usize>()..values.len();
        let runs: Vec<_> = runs.chain([tail]).collect();
        runs.into_iter().map(|run| &values[run])
    }

    /// How many values are not copied.
    pub(super) fn new_count(&self) -> usize {
        self.new
    }

    /// About how many bits the copies take.
    pub(super) fn bits(&self) -> f64 {
        let (mut cost, mut model) = (Cost::default(), Model::new());
        for copy in &self.copies {
            // Encoding fails for no number.
            let _ = model.code(&mut cost, *copy);
        }
        cost.bits()
    }
}

fn hash(values: [u64; LEAST]) -> usize {
    let mixed = values.iter().fold(0u64, |sum, v| (sum.rotate_left(23) ^ v).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    (mixed >> (64 - TABLE_BITS)) as usize
}

/// Puts a distance before the other recent ones; where it was among them.
fn remember(recent: &mut [usize; RECENT], distance: usize) {
    let place = recent.iter().position(|&known| known == distance).unwrap_or(RECENT - 1);
    recent[..=place].rotate_right(1);
    recent[0] = distance;
}

/// Numbers: the length in bits in unary, the bits after the leading one under what came before them, the rest raw.
struct Numbers {
    length: [Counter; MOST_BITS as usize + 1],
    bits: Vec<Counter>,
}

impl Numbers {
    fn new() -> Self {
        let bits = vec![Counter::default(); (MOST_BITS as usize + 1) << MODELLED];
        Self { length: [Counter::default(); MOST_BITS as usize + 1], bits }
    }

    fn code<C: BitCoder>(&mut self, coder: &mut C, number: usize) -> Result<usize> {
        let number = number as u64 + 1;
        let target = number.ilog2();
        let mut length = 0;
        loop {
            let more = bit(coder, &mut self.length[length as usize], target > length);
            if !more {
                break;
            }
            length += 1;
            if length > MOST_BITS {
                return Err(Error::corrupt("a number of a lossless section is out of range"));
            }
        }
        let modelled = length.min(MODELLED);
        let mut out = 1u64;
        for i in 0..modelled {
            let counter = &mut self.bits[((length as usize) << MODELLED) + out as usize];
            out = out << 1 | u64::from(bit(coder, counter, number >> (length - 1 - i) & 1 == 1));
        }
        let rest = length - modelled;
        Ok((out << rest | coder.raw(number & ((1 << rest) - 1), rest)) as usize - 1)
    }
}

fn bit<C: BitCoder>(coder: &mut C, counter: &mut Counter, bit: bool) -> bool {
    let bit = coder.bit(bit, counter.p1());
    counter.update(bit, LIMIT);
    bit
}

/// The adaptive state of copies.
struct Model {
    recent: [usize; RECENT],
    /// Which of the recent distances the last copy had, or that it had another.
    before: usize,
    new: [Numbers; RECENT + 1],
    count: [Numbers; RECENT + 1],
    distance: Numbers,
    which: [[Counter; RECENT]; RECENT + 1],
}

impl Model {
    fn new() -> Self {
        Self {
            recent: [1; RECENT],
            before: 0,
            new: std::array::from_fn(|_| Numbers::new()),
            count: std::array::from_fn(|_| Numbers::new()),
            distance: Numbers::new(),
            which: Default::default(),
        }
    }

    /// Codes how many values are new before the next copy, or at the end.
    fn new_values<C: BitCoder>(&mut self, coder: &mut C, count: usize) -> Result<usize> {
        self.new[self.before].code(coder, count)
    }

    /// Codes a copy, but for the new values before it.
    fn copied<C: BitCoder>(&mut self, coder: &mut C, count: usize, distance: usize) -> Result<(usize, usize)> {
        let target = self.recent.iter().position(|&known| known == distance).unwrap_or(RECENT);
        let counters = &mut self.which[self.before];
        let mut which = 0;
        while which < RECENT && bit(coder, &mut counters[which], which < target) {
            which += 1;
        }
        let distance = match self.recent.get(which) {
            Some(&known) => known,
            None => self.distance.code(coder, distance.wrapping_sub(1))? + 1,
        };
        let count = self.count[which].code(coder, count.wrapping_sub(1))? + 1;
        self.before = which;
        remember(&mut self.recent, distance);
        Ok((count, distance))
    }

    fn code<C: BitCoder>(&mut self, coder: &mut C, copy: Copy) -> Result<()> {
        self.new_values(coder, copy.new)?;
        self.copied(coder, copy.count, copy.distance).map(|_| ())
    }
}

/// Codes `values`, of which copies were found.
pub(super) fn encode<T: Element>(values: &[T], repeats: &Repeats) -> Vec<u8> {
    let (mut coder, mut model) = (Encoder::new(Vec::new()), Model::new());
    let mut done = 0;
    for copy in &repeats.copies {
        // Encoding fails for no number.
        let _ = model.code(&mut coder, *copy);
        done += copy.new + copy.count;
    }
    if done < values.len() {
        let _ = model.new_values(&mut coder, values.len() - done);
    }
    let code = coder.finish();
    let new: Vec<T> = repeats.new_values(values).flatten().copied().collect();
    let mut out = Writer::default();
    out.u32(new.len() as u32);
    out.u32(code.len() as u32);
    out.bytes.extend_from_slice(&code);
    out.bytes.extend_from_slice(&chunk::encode(&new));
    out.bytes
}

/// Decodes what [`encode`] made of `out.len()` values.
///
/// # Errors
/// `Corrupt` where the bytes are not such a code.
pub(super) fn decode<T: Element>(bytes: &[u8], out: &mut [T]) -> Result<()> {
    let mut reader = Reader::new(bytes);
    let (count, length) = (reader.u32()? as usize, reader.u32()? as usize);
    if count > out.len() {
        return Err(Error::corrupt(format!("a lossless section of {} values says that {count} are new", out.len())));
    }
    let mut coder = Decoder::new(reader.bytes(length)?);
    let mut new = vec![T::from_bits_u64(0); count];
    chunk::decode(reader.bytes(reader.remaining())?, &mut new)?;
    let mut new = &new[..];
    let mut model = Model::new();
    let mut at = 0;
    let beyond = || Error::corrupt("a copy of a lossless section leads out of it");
    while at < out.len() {
        let (first, rest) = new.split_at_checked(model.new_values(&mut coder, 0)?).ok_or_else(beyond)?;
        out.get_mut(at..at + first.len()).ok_or_else(beyond)?.copy_from_slice(first);
        (at, new) = (at + first.len(), rest);
        if at == out.len() {
            break;
        }
        let (count, distance) = model.copied(&mut coder, 1, 1)?;
        if distance > at || count > out.len() - at || coder.exhausted() {
            return Err(beyond());
        }
        for i in at..at + count {
            out[i] = out[i - distance];
        }
        at += count;
    }
    if !new.is_empty() {
        return Err(Error::corrupt(format!("{} new values of a lossless section are left over", new.len())));
    }
    coder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip<T: Element>(values: &[T], near: [usize; 2]) -> usize {
        let repeats = Repeats::find(values, near, 1);
        let bytes = encode(values, &repeats);
        let mut out = vec![T::from_f64(77.0); values.len()];
        decode(&bytes, &mut out).unwrap();
        assert!(values.iter().zip(&out).all(|(a, b)| a.to_bits_u64() == b.to_bits_u64()));
        assert_eq!(repeats.new_values(values).map(<[T]>::len).sum::<usize>(), repeats.new_count());
        bytes.len()
    }

    fn noise(n: usize) -> Vec<f32> {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / 65_536.0
        };
        (0..n).map(next).collect()
    }

    #[test]
    fn long_repeats_are_found() {
        let once = noise(5000);
        let many: Vec<f32> = (0..16).flat_map(|_| once.clone()).collect();
        let alone = chunk::encode(&once).len();
        assert!(round_trip(&many, [1, 1]) < alone + 64);
        // However coarse the search.
        assert!(Repeats::find(&many, [1, 1], 16).new_count() < 6500);
        let square: Vec<f32> = (0..1 << 16).map(|i| (i / 64 % 2) as f32).collect();
        assert!(round_trip(&square, [1, 1]) < 100);
        // Blocks of 4 frames, 8 rows and 8 columns.
        let kinds = noise(4 * 6 * 6);
        let block = |i: usize| kinds[(i / 2304 / 4 * 6 + i / 48 % 48 / 8) * 6 + i % 48 / 8];
        let blocks: Vec<f32> = (0..16 * 48 * 48).map(block).collect();
        let bytes = round_trip(&blocks, [48, 48 * 48]);
        assert!(bytes < 3 * kinds.len() + 200 + 64, "{bytes}");
    }

    #[test]
    fn what_does_not_repeat_costs_little_more() {
        let values = noise(20_000);
        assert!(round_trip(&values, [100, 1000]) <= chunk::encode(&values).len() + 40);
        round_trip::<f64>(&[], [1, 1]);
        round_trip(&[f32::NAN; 9], [0, 0]);
    }

    #[test]
    fn damaged_bytes_do_no_harm() {
        let values: Vec<f32> = noise(60).into_iter().chain(noise(60)).chain([1.0; 30]).collect();
        let bytes = encode(&values, &Repeats::find(&values, [1, 1], 1));
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[at] ^= 1 << bit;
                let _ = decode(&bad, &mut vec![0f32; values.len()]);
            }
            assert!(decode(&bytes[..at], &mut vec![0f32; values.len()]).is_err(), "{at}");
        }
        for count in [0, 1, 149] {
            assert!(decode(&bytes, &mut vec![0f32; count]).is_err(), "{count}");
        }
    }

    proptest! {
        #[test]
        fn bits_return(
            values in prop::collection::vec(prop_oneof![0u64..3, any::<u64>()], 0..60),
            times in 1usize..5,
            near in prop::array::uniform2(0usize..40),
        ) {
            let values: Vec<f64> = (0..times).flat_map(|_| values.clone()).map(f64::from_bits).collect();
            round_trip(&values, near);
        }

        #[test]
        fn any_bytes_decode_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0usize..500) {
            let _ = decode(&bytes, &mut vec![0f32; count]);
        }
    }
}
