//! Tokens under tables: small numbers in classes, each class with a table of frequencies, coded by interleaved rANS
//! (Duda 2013; Giesen 2014). Tables follow what was coded: both sides count tokens, and make a class's table anew when
//! it has seen enough of them. Between that they stand still, so that a token costs a look into a table.
//!
//! Tokens come in strips of up to [`STRIP`], one for each state, whose classes are known beforehand: the states' work
//! overlaps.

use super::bit_string::{BitReader, BitWriter};
use crate::bytes::{Reader, Writer};
use crate::error::{Error, Result};
use std::sync::LazyLock;

/// Tokens that are coded side by side, and states.
pub(crate) const STRIP: usize = 8;
pub(crate) const HALF: usize = STRIP / 2;
/// Tokens of a class are below this.
pub(crate) const MOST_TOKENS: usize = 64;
/// The most classes.
pub(crate) const MOST_CLASSES: usize = 32;
/// Places of tokens of all classes in a table.
const PLACES: usize = MOST_CLASSES * MOST_TOKENS;
/// Frequencies of a class add up to 2^PRECISION.
const PRECISION: u32 = 12;
const TOTAL: u32 = 1 << PRECISION;
/// States lie in LOW..2^32 between tokens; 16 bits are written or read at once.
const LOW: u32 = 1 << 16;
/// A class's counts are halved once they add up to this.
const MEMORY: u32 = 1 << 14;
/// Tokens after which tables are looked through.
const PATIENCE: u32 = 1024;

/// One direction. A model's traversal is written once, over this trait.
pub(crate) trait TokenCoder {
    /// True where tokens and bits are given; else they come back.
    const ENCODES: bool;
    /// Codes the first `count` tokens of a strip, each under its class.
    fn half<const FROM: usize>(
        &mut self,
        tables: &mut Tables,
        classes: &[u8; HALF],
        tokens: &mut [u8; HALF],
        count: usize,
    );
    /// Codes the lowest `count` bits of `value`, at most 56; the others have to be 0.
    fn raw(&mut self, value: u64, count: u32) -> u64;
}

/// The frequencies of tokens, class by class.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    /// Tokens of every class.
    sizes: Vec<usize>,
    /// For every class and token what is below it, and its frequency.
    ranges: Box<[[u16; 2]; PLACES]>,
    /// For every class and slot its token.
    slots: Box<[u8; MOST_CLASSES << PRECISION]>,
    /// Tokens seen, halved now and then, and their sums when the table was made.
    counts: Box<[u32; PLACES]>,
    made_at: Vec<u32>,
    /// Tokens seen since then, in two parts: the same one twice in a row would wait for itself.
    fresh: [Box<[u32; PLACES]>; 2],
    /// Tokens until tables are looked through.
    patience: u32,
}

/// An array that was never on the stack.
fn boxed<T: Clone, const N: usize>(value: T) -> Box<[T; N]> {
    let Ok(array) = vec![value; N].into_boxed_slice().try_into() else { unreachable!("as long as it is made") };
    array
}

impl Tables {
    /// Tables that start from `counts`, those of one class after another, as many as each has tokens.
    pub(crate) fn new<'c>(counts: impl Iterator<Item = &'c [u8]>) -> Self {
        let mut tables = Self {
            sizes: Vec::new(),
            ranges: boxed([0, 0]),
            slots: boxed(0),
            counts: boxed(0),
            made_at: Vec::new(),
            fresh: std::array::from_fn(|_| boxed(0)),
            patience: PATIENCE,
        };
        for (class, counts) in counts.enumerate() {
            tables.sizes.push(counts.len());
            tables.made_at.push(0);
            for (slot, &count) in tables.counts[class * MOST_TOKENS..].iter_mut().zip(counts) {
                *slot = u32::from(count);
            }
            tables.make(class);
        }
        tables
    }

    /// Makes a class's table from its counts: each token has at least one slot of 2^12, the most frequent one what is
    /// left by rounding down.
    fn make(&mut self, class: usize) {
        let size = self.sizes[class];
        let at = class * MOST_TOKENS..class * MOST_TOKENS + size;
        let counts = &self.counts[at.clone()];
        let sum: u32 = counts.iter().sum();
        self.made_at[class] = sum;
        let spread = u64::from(TOTAL - size as u32);
        let scale = (spread << 32) / u64::from(sum.max(1));
        let mut frequencies = [0; MOST_TOKENS];
        let (mut left, mut most) = (TOTAL, 0);
        for (k, (frequency, &count)) in frequencies.iter_mut().zip(counts).enumerate() {
            *frequency = 1 + ((u64::from(count) * scale) >> 32) as u32;
            left -= *frequency;
            if count > counts[most] {
                most = k;
            }
        }
        frequencies[most] += left;
        let slots = &mut self.slots[class << PRECISION..][..TOTAL as usize];
        let mut low = 0;
        for (token, (range, &frequency)) in self.ranges[at].iter_mut().zip(&frequencies).enumerate() {
            *range = [low as u16, frequency as u16];
            slots[low as usize..(low + frequency) as usize].fill(token as u8);
            low += frequency;
        }
    }

    /// After a strip: now and then looks through the classes, and makes the tables of those anew that have seen enough.
    #[inline(always)]
    fn learn(&mut self, count: usize) {
        self.patience = self.patience.saturating_sub(count as u32);
        if self.patience == 0 {
            self.look_through();
        }
    }

    #[cold]
    #[inline(never)]
    fn look_through(&mut self) {
        self.patience = PATIENCE;
        for class in 0..self.sizes.len() {
            let at = class * MOST_TOKENS..class * MOST_TOKENS + self.sizes[class];
            let [even, odd] = &mut self.fresh;
            let mut sum = 0;
            for (count, (even, odd)) in
                self.counts[at.clone()].iter_mut().zip(even[at.clone()].iter_mut().zip(&mut odd[at.clone()]))
            {
                *count += std::mem::take(even) + std::mem::take(odd);
                sum += *count;
            }
            let made_at = self.made_at[class];
            if sum - made_at < made_at / 2 + 16 {
                continue;
            }
            if sum > MEMORY {
                self.counts[at].iter_mut().for_each(|count| *count = count.div_ceil(2));
            }
            self.make(class);
        }
    }
}

/// ⌈2^63 / n⌉ for n from 1 on.
static RECIPROCALS: LazyLock<Box<[u64; TOTAL as usize]>> =
    LazyLock::new(|| Box::new(std::array::from_fn(|n| (1u64 << 63).div_ceil(n.max(1) as u64))));

/// Gathers tokens and bits, to be written at a window's end.
#[derive(Debug, Default)]
pub(crate) struct TokenWriter {
    /// What is below a token (12 bits), its frequency (12), its place in the strip.
    queue: Vec<u32>,
    bits: BitWriter,
}

/// Fewer tokens than this have one state in place of [`STRIP`], whose ends would cost more than they are worth.
const FEW: usize = 4096;

impl TokenWriter {
    /// Appends all that was gathered to `out`, and begins anew.
    pub(crate) fn finish(&mut self, out: &mut Writer) {
        if self.queue.len() < FEW {
            self.write::<1>(out)
        } else {
            self.write::<STRIP>(out)
        }
        self.queue.clear();
    }

    fn write<const LANES: usize>(&mut self, out: &mut Writer) {
        let reciprocals: &[u64; TOTAL as usize] = &RECIPROCALS;
        let mut states = [LOW; LANES];
        let mut words: Vec<u16> = Vec::with_capacity(self.queue.len() / 2);
        // A decoder takes tokens in the order in which they were gathered; so they are put in from the last one on.
        for &entry in self.queue.iter().rev() {
            let (low, frequency) = (entry % TOTAL, entry >> PRECISION & (TOTAL - 1));
            let state = &mut states[(entry >> (2 * PRECISION)) as usize % LANES];
            let mut x = *state;
            if x >> (32 - PRECISION) >= frequency {
                words.push(x as u16);
                x >>= 16;
            }
            let product = u128::from(u64::from(x) << 1) * u128::from(reciprocals[frequency as usize]);
            let quotient = (product >> 64) as u32;
            *state = (quotient << PRECISION) + (x - quotient * frequency) + low;
        }
        let bits = std::mem::take(&mut self.bits).finish();
        out.u8(LANES as u8);
        out.varint(words.len() as u64);
        out.varint(bits.len() as u64);
        for state in &states {
            out.u32(*state);
        }
        out.bytes.reserve(2 * words.len() + bits.len());
        out.bytes.extend(words.iter().rev().flat_map(|word| word.to_le_bytes()));
        out.bytes.extend_from_slice(&bits);
    }
}

impl TokenCoder for TokenWriter {
    const ENCODES: bool = true;

    #[inline(always)]
    fn half<const FROM: usize>(
        &mut self,
        tables: &mut Tables,
        classes: &[u8; HALF],
        tokens: &mut [u8; HALF],
        count: usize,
    ) {
        let mut entries = [0; HALF];
        let [even, odd] = &mut tables.fresh;
        for k in 0..HALF {
            let at = place(classes[k], tokens[k]);
            let [low, frequency] = tables.ranges[at];
            entries[k] = u32::from(low) | u32::from(frequency) << PRECISION | ((FROM + k) as u32) << (2 * PRECISION);
            (if k % 2 == 0 { &mut *even } else { &mut *odd })[at] += u32::from(k < count);
        }
        self.queue.extend_from_slice(&entries[..count]);
        tables.learn(count);
    }

    #[inline(always)]
    fn raw(&mut self, value: u64, count: u32) -> u64 {
        self.bits.write(value, count);
        value
    }
}

/// Where tables have a class's token.
#[inline(always)]
fn place(class: u8, token: u8) -> usize {
    (usize::from(class) % MOST_CLASSES) * MOST_TOKENS + usize::from(token) % MOST_TOKENS
}

/// Reads what a [`TokenWriter`] gathered in a window, with `LANES` states.
#[derive(Debug)]
pub(crate) struct TokenReader<'a, const LANES: usize> {
    states: [u32; LANES],
    words: Vec<u16>,
    next: usize,
    bits: BitReader<'a>,
}

/// A reader of as many states as a window says.
pub(crate) enum AnyReader<'a> {
    One(TokenReader<'a, 1>),
    Strip(TokenReader<'a, STRIP>),
}

impl<'a> AnyReader<'a> {
    /// Takes a window's tokens and bits.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(crate) fn new(reader: &mut Reader<'a>) -> Result<Self> {
        match reader.u8()? {
            1 => Ok(Self::One(TokenReader::new(reader)?)),
            8 => Ok(Self::Strip(TokenReader::new(reader)?)),
            other => Err(Error::corrupt(format!("{other} states of an entropy code; expected 1 or 8"))),
        }
    }
}

impl<'a, const LANES: usize> TokenReader<'a, LANES> {
    fn new(reader: &mut Reader<'a>) -> Result<Self> {
        let (count, bits) = (reader.varint()?, reader.varint()?);
        let mut states = [0; LANES];
        for state in &mut states {
            *state = reader.u32()?;
            if *state < LOW {
                return Err(Error::corrupt("a state of an entropy code is below the least"));
            }
        }
        let length = |n: u64, size: u64| usize::try_from(n.saturating_mul(size)).unwrap_or(usize::MAX);
        let words = reader.bytes(length(count, 2))?;
        let words = words.as_chunks::<2>().0.iter().map(|&word| u16::from_le_bytes(word)).collect();
        let bits = BitReader::new(reader.bytes(length(bits, 1))?);
        Ok(Self { states, words, next: 0, bits })
    }

    /// Checks that a window ended as its writer began: nothing left, and nothing missing.
    ///
    /// # Errors
    /// `Corrupt` otherwise.
    pub(crate) fn finish(&self) -> Result<()> {
        if self.next != self.words.len() || self.states != [LOW; LANES] {
            return Err(Error::corrupt("a window's tokens do not end where their code does"));
        }
        self.bits.finish()
    }
}

impl<const LANES: usize> TokenCoder for TokenReader<'_, LANES> {
    const ENCODES: bool = false;

    #[inline(always)]
    fn half<const FROM: usize>(
        &mut self,
        tables: &mut Tables,
        classes: &[u8; HALF],
        tokens: &mut [u8; HALF],
        count: usize,
    ) {
        // Words past the end are zeros.
        let ahead = self.words.get(self.next..).unwrap_or(&[]);
        let padded;
        let ahead: &[u16; HALF] = match ahead.first_chunk() {
            Some(ahead) => ahead,
            None => {
                let mut words = [0; HALF];
                words[..ahead.len()].copy_from_slice(ahead);
                padded = words;
                &padded
            }
        };
        let mut used = 0;
        let mut one = |k: usize| {
            let state = &mut self.states[(FROM + k) % LANES];
            let slot = *state % TOTAL;
            let token = tables.slots[(usize::from(classes[k]) % MOST_CLASSES) << PRECISION | slot as usize];
            let at = place(classes[k], token);
            let [low, frequency] = tables.ranges[at];
            let mut x = u32::from(frequency) * (*state >> PRECISION) + slot - u32::from(low);
            let word = u32::from(ahead[used % HALF]);
            let short = x < LOW;
            x = if short { x << 16 | word } else { x };
            used += usize::from(short);
            *state = x;
            tokens[k] = token;
            at
        };
        let [even, odd] = &mut tables.fresh;
        if count == HALF {
            for k in 0..HALF {
                let at = one(k);
                (if k % 2 == 0 { &mut *even } else { &mut *odd })[at] += 1;
            }
        } else {
            for k in 0..count {
                let at = one(k);
                (if k % 2 == 0 { &mut *even } else { &mut *odd })[at] += 1;
            }
        }
        self.next += used;
        tables.learn(count);
    }

    #[inline(always)]
    fn raw(&mut self, _value: u64, count: u32) -> u64 {
        self.bits.read(count)
    }
}
