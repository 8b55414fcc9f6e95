//! The table coder: quantiser indices to bits and back under tables of frequencies that stand still for thousands of
//! indices. For speed; [`super::contexts`] makes smaller streams.
//!
//! Order and flags of blocks are the context coder's. An index's class comes from a weighted sum of magnitudes that are
//! known before its row: those above it in its band, those around it in the planes that its plane resembles and in the
//! parent band. So the classes of a strip are computed in vectors, and its tokens are coded side by side. A token is a
//! magnitude, or the half octave of larger ones; their lower digits and all signs are raw bits.

use super::bands::{BandContext, BandRow, Planes, RowCoder, RowFlags, code_flags, walk};
use super::contexts::ContextModel;
use super::layout::{BLOCK, Magnitudes};
use super::neighbours::{LARGEST_SUM, SUMS, class_of, sums_before};
use super::priors::Trained;
use super::real::Index;
use crate::entropy::{BitCoder, Counter, HALF, MOST_CLASSES, MOST_TOKENS, STRIP, Tables, TokenCoder};
use crate::error::{Error, Result};
use multiversion::multiversion;
use std::sync::LazyLock;

const _: () = assert!(STRIP == BLOCK);
/// Tokens from this on stand for half an octave of magnitudes.
const HALF_OCTAVES: u8 = 8;
/// The most ones of the unary part of an escape.
const MOST_ONES: u32 = 52;

/// Tokens of each class, none of those that there are not; the last one is an escape.
const SIZES: [u8; MOST_CLASSES] =
    [8, 4, 4, 4, 6, 6, 8, 8, 10, 10, 12, 14, 16, 18, 20, 24, 24, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0];

/// The state of the coder. It lives through the windows of a segment.
#[derive(Clone, Debug)]
pub(crate) struct TableModel {
    block: Vec<Counter>,
    tables: Tables,
}

/// The token of a magnitude, of 2^31 − 1 at the most, where nothing limits it.
#[inline(always)]
fn token(magnitude: i32) -> u8 {
    // A float's exponent and the first digit of its mantissa are the half octave; of large ones lower digits are taken
    // away, which rounding might carry up.
    let kept = if magnitude < 1 << 24 { magnitude } else { magnitude & !255 };
    let half_octave = ((kept as f32).to_bits() >> 22).wrapping_sub(2 * (127 + 3) - u32::from(HALF_OCTAVES));
    if magnitude < i32::from(HALF_OCTAVES) { magnitude as u8 } else { half_octave as u8 }
}

/// The least magnitude of each token, and how many digits tell those of it apart.
static RANGES: [(u32, u32); MOST_TOKENS] = {
    let mut ranges = [(0, 0); MOST_TOKENS];
    let mut token = 0;
    while token < MOST_TOKENS as u32 {
        let first = HALF_OCTAVES as u32;
        ranges[token as usize] = if token < first {
            (token, 0)
        } else {
            let digits = (token - first) / 2 + 2;
            ((2 + (token - first) % 2) << digits, digits)
        };
        token += 1;
    }
    ranges
};

/// The least magnitude of each token, as far as its neighbours see it.
static SEEN: [u16; MOST_TOKENS] = {
    let mut seen = [255; MOST_TOKENS];
    let mut token = 0;
    while token < MOST_TOKENS {
        if RANGES[token].0 < 255 {
            seen[token] = RANGES[token].0 as u16;
        }
        token += 1;
    }
    seen
};

/// Tokens of each class below this say all of their magnitude.
const PLAIN: [u8; MOST_CLASSES] = {
    let mut plain = [0; MOST_CLASSES];
    let mut class = 0;
    while class < MOST_CLASSES {
        plain[class] = if SIZES[class] <= HALF_OCTAVES { SIZES[class].saturating_sub(1) } else { HALF_OCTAVES };
        class += 1;
    }
    plain
};

/// Tokens below this are [`PLAIN`] in all classes.
const SMALL: u8 = 3;
const _: () = {
    let mut class = 0;
    while class < SUMS {
        assert!(PLAIN[class] >= SMALL);
        class += 1;
    }
};
/// The highest bit of each byte.
const HIGH_BITS: u64 = u64::from_le_bytes([0x80; 8]);

/// What counts of tokens start from, class by class.
static COUNTS: &[u8] = include_bytes!("tables.bin");

/// Where a window's bits go, or come from: the flags of blocks, and tokens with raw bits.
pub(crate) struct Coders<'a, F, C> {
    pub(crate) flags: &'a mut F,
    pub(crate) tokens: &'a mut C,
}

#[multiversion(targets("x86_64+avx2"))]
fn code<F: BitCoder, C: TokenCoder, I: Index>(
    model: &mut TableModel,
    coders: Coders<'_, F, C>,
    indices: &mut [I],
    planes: &Planes<'_>,
    magnitudes: &mut Magnitudes,
) -> Result<()> {
    walk(&mut Work { model, coders }, indices, planes, magnitudes)
}

/// A model and coders, at their work on a window.
struct Work<'a, F, C> {
    model: &'a mut TableModel,
    coders: Coders<'a, F, C>,
}

impl<F: BitCoder, C: TokenCoder, I: Index> RowCoder<I> for Work<'_, F, C> {
    #[inline(always)]
    fn flags(&mut self, frame: &[I], context: &BandContext<'_>, row: RowFlags<'_>) {
        code_flags(&mut self.model.block, self.coders.flags, frame, context, row);
    }

    #[inline(always)]
    fn row(&mut self, frame: &mut [I], context: &BandContext<'_>, row: BandRow<'_>) -> Result<()> {
        self.model.code_row(self.coders.tokens, frame, context, row)
    }
}

impl TableModel {
    /// Fresh state, from the trained priors.
    pub(crate) fn new() -> Self {
        static START: LazyLock<TableModel> = LazyLock::new(TableModel::start);
        START.clone()
    }

    fn start() -> Self {
        let mut start = 0;
        let counts = SIZES.iter().filter(|&&size| size > 0).map(|&size| {
            let counts = &COUNTS[start..][..usize::from(size)];
            start += usize::from(size);
            counts
        });
        Self { block: ContextModel::start().block().to_vec(), tables: Tables::new(counts) }
    }

    /// Codes the indices of a window's planes (`[planes][h][w]`, the wavelet's layout), or when decoding fills them in.
    /// `magnitudes` is left for the next window.
    ///
    /// # Errors
    /// `Corrupt` when decoding bytes that no encoder wrote.
    pub(crate) fn code<F: BitCoder, C: TokenCoder, I: Index>(
        &mut self,
        coders: Coders<'_, F, C>,
        indices: &mut [I],
        planes: &Planes<'_>,
        magnitudes: &mut Magnitudes,
    ) -> Result<()> {
        magnitudes.reset(planes.layout, planes.contexts.len());
        code(self, coders, indices, planes, magnitudes)
    }

    /// Codes a row of a band, but for blocks that hold nothing.
    #[inline(always)]
    fn code_row<C: TokenCoder, I: Index>(
        &mut self,
        coder: &mut C,
        frame: &mut [I],
        context: &BandContext<'_>,
        BandRow { y, own, flags }: BandRow<'_>,
    ) -> Result<()> {
        let &BandContext { band, width, .. } = context;
        let flags = &flags[band.flags + y / BLOCK * band.flag_stride..][..band.w.div_ceil(BLOCK)];
        for (bx, &flag) in flags.iter().enumerate() {
            if flag == 0 {
                continue;
            }
            let x_end = band.w.min((bx + 1) * BLOCK);
            let at = band.mags + y * band.mag_stride + bx * BLOCK;
            let sums = sums_before(own, &context.views, band, at, [y, bx * BLOCK]);
            let slots = &mut frame[(band.y0 + y) * width + band.x0..][bx * BLOCK..x_end];
            self.code_strip(coder, slots, &sums, &mut own[at..at + BLOCK])?;
        }
        Ok(())
    }

    /// Codes a strip of a block: tokens, then the digits of those that have some, then signs.
    #[inline(always)]
    fn code_strip<C: TokenCoder, I: Index>(
        &mut self,
        coder: &mut C,
        slots: &mut [I],
        sums: &[u16; BLOCK],
        own: &mut [u8],
    ) -> Result<()> {
        let (mut wanted, mut signs, mut count) = ([0; BLOCK], 0, 0);
        if C::ENCODES {
            let mut magnitudes = [0; BLOCK];
            for (magnitude, slot) in magnitudes.iter_mut().zip(&*slots) {
                let value = slot.saturated();
                signs |= u64::from(value < 0) << count;
                count += u32::from(value != 0);
                *magnitude = value.abs();
            }
            for k in 0..BLOCK {
                wanted[k] = token(magnitudes[k]);
            }
        }
        let Strip { tokens, classes } = self.code_tokens(coder, &wanted, sums, slots.len());
        // Each class has tokens below SMALL that say all of their magnitude: the sums' high bits stay 0.
        let word = u64::from_le_bytes(tokens);
        if word.wrapping_add(u64::from_le_bytes([128 - SMALL; BLOCK])) & HIGH_BITS != 0 {
            let mut plain = true;
            for (&token, &class) in tokens.iter().zip(&classes) {
                plain &= token < PLAIN[usize::from(class) % MOST_CLASSES];
            }
            if !plain {
                return code_large(coder, slots, &Strip { tokens, classes }, own);
            }
        }
        if !C::ENCODES {
            count = tokens.iter().map(|&token| u32::from(token != 0)).sum();
        }
        signs = coder.raw(signs, count);
        own.copy_from_slice(&tokens);
        if !C::ENCODES {
            let mut values = [0; BLOCK];
            for (value, &token) in values.iter_mut().zip(&tokens) {
                let minus = -((signs & 1) as i32);
                *value = (i32::from(token) ^ minus) - minus;
                signs >>= u32::from(token != 0);
            }
            for (slot, &value) in slots.iter_mut().zip(&values) {
                *slot = I::from_i64(i64::from(value));
            }
        }
        Ok(())
    }

    /// Codes a strip's first `count` tokens, those that are `wanted` as far as their classes have them: those at even
    /// places under what is known before the row, then the others, under their neighbours as well. Tokens beyond the
    /// count are 0.
    #[inline(always)]
    fn code_tokens<C: TokenCoder>(
        &mut self,
        coder: &mut C,
        wanted: &[u8; BLOCK],
        sums: &[u16; BLOCK],
        count: usize,
    ) -> Strip {
        let limited = |token: u8, class: u8| token.min(SIZES[usize::from(class) % MOST_CLASSES].wrapping_sub(1));
        let mut strip = Strip { tokens: [0; BLOCK], classes: [0; BLOCK] };
        let (mut classes, mut tokens, mut seen) = ([0; HALF], [0; HALF], [0; HALF]);
        for k in 0..HALF {
            classes[k] = class_of(sums[2 * k]);
            tokens[k] = limited(wanted[2 * k], classes[k]);
        }
        coder.half::<0>(&mut self.tables, &classes, &mut tokens, count.div_ceil(2));
        for k in 0..HALF {
            (strip.tokens[2 * k], strip.classes[2 * k]) = (tokens[k], classes[k]);
            seen[k] = SEEN[usize::from(tokens[k]) % MOST_TOKENS];
        }
        for k in 0..HALF {
            // The last one has its west neighbour on both sides.
            let east = if 2 * k + 2 < count { seen[(k + 1) % HALF] } else { seen[k] };
            classes[k] = class_of((5 * sums[2 * k + 1] / 8 + 8 * (seen[k] + east)).min(LARGEST_SUM as u16));
            tokens[k] = limited(wanted[2 * k + 1], classes[k]);
        }
        coder.half::<HALF>(&mut self.tables, &classes, &mut tokens, count / 2);
        for k in 0..HALF {
            (strip.tokens[2 * k + 1], strip.classes[2 * k + 1]) = (tokens[k], classes[k]);
        }
        if !C::ENCODES {
            strip.tokens[count..].fill(0);
        }
        strip
    }
}

/// The tokens of a strip, and their classes.
struct Strip {
    tokens: [u8; BLOCK],
    classes: [u8; BLOCK],
}

/// Codes the rest of a strip with tokens that do not say all of their magnitudes: digits, then signs.
#[inline(always)]
fn code_large<C: TokenCoder, I: Index>(coder: &mut C, slots: &mut [I], strip: &Strip, own: &mut [u8]) -> Result<()> {
    let (mut signs, mut count) = (0, 0);
    let mut magnitudes = [0; BLOCK];
    for (k, slot) in slots.iter().enumerate() {
        let token = strip.tokens[k];
        let (least, digits) = RANGES[usize::from(token) % MOST_TOKENS];
        let value = slot.to_i64();
        let above = value.unsigned_abs().wrapping_sub(u64::from(least));
        let above = if token + 1 == SIZES[usize::from(strip.classes[k]) % MOST_CLASSES] {
            escape(coder, above)?
        } else {
            coder.raw(above & ((1 << digits) - 1), digits)
        };
        magnitudes[k] = u64::from(least) + above;
        own[k] = magnitudes[k].min(255) as u8;
        signs |= u64::from(value < 0) << count;
        count += u32::from(magnitudes[k] != 0);
    }
    signs = coder.raw(signs, count);
    if !C::ENCODES {
        for (slot, &magnitude) in slots.iter_mut().zip(&magnitudes) {
            if magnitude > I::LIMIT {
                return Err(Error::corrupt("a coefficient is larger than any that is coded"));
            }
            let value = magnitude as i64;
            *slot = I::from_i64(if magnitude != 0 && signs & 1 == 1 { -value } else { value });
            signs >>= u32::from(magnitude != 0);
        }
    }
    Ok(())
}

/// Codes a number in Elias's gamma code of one more.
#[cold]
fn escape<C: TokenCoder>(coder: &mut C, value: u64) -> Result<u64> {
    let target = value.wrapping_add(1).max(1).ilog2();
    let mut log = 0;
    while coder.raw(u64::from(log < target), 1) == 1 {
        log += 1;
        if log > MOST_ONES {
            return Err(Error::corrupt("an escape is longer than any that is coded"));
        }
    }
    Ok((coder.raw(value.wrapping_add(1) & ((1 << log) - 1), log) | 1 << log) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::{Reader, Writer};
    use crate::entropy::{AnyReader, Decoder, Encoder, TokenWriter};
    use crate::residual::bands::PlaneContext;
    use crate::residual::contexts::tests::windows;
    use crate::residual::layout::Layout;
    use proptest::prelude::*;

    /// Codes windows, and gives the code of flags, that of tokens, and the last window's magnitudes.
    fn encode(layout: &Layout, contexts: &[PlaneContext], windows: &[Vec<i64>]) -> (Vec<u8>, Vec<u8>, Magnitudes) {
        let (mut flags, mut tokens) = (Encoder::new(Vec::new()), TokenWriter::default());
        let (mut last, mut mags) = (Magnitudes::default(), Magnitudes::default());
        let (mut model, mut out) = (TableModel::new(), Writer::default());
        for (i, window) in windows.iter().enumerate() {
            let previous = (i > 0).then_some(&last);
            let planes = Planes { layout, contexts, previous, finest: 1 };
            let coders = Coders { flags: &mut flags, tokens: &mut tokens };
            model.code(coders, &mut window.clone(), &planes, &mut mags).unwrap();
            tokens.finish(&mut out);
            std::mem::swap(&mut last, &mut mags);
        }
        (flags.finish(), out.bytes, last)
    }

    /// Decodes as many windows as were encoded.
    fn decode(
        layout: &Layout,
        contexts: &[PlaneContext],
        (flags, tokens): (&[u8], &[u8]),
        count: usize,
    ) -> Result<(Vec<Vec<i64>>, Magnitudes)> {
        let (mut flags, mut reader) = (Decoder::new(flags), Reader::new(tokens));
        let (mut last, mut mags) = (Magnitudes::default(), Magnitudes::default());
        let (mut model, mut out) = (TableModel::new(), Vec::new());
        for i in 0..count {
            let previous = (i > 0).then_some(&last);
            let planes = Planes { layout, contexts, previous, finest: 1 };
            let mut window = vec![0i64; contexts.len() * layout.len()];
            match AnyReader::new(&mut reader)? {
                AnyReader::One(mut tokens) => {
                    let coders = Coders { flags: &mut flags, tokens: &mut tokens };
                    model.code(coders, &mut window, &planes, &mut mags)?;
                    tokens.finish()?;
                }
                AnyReader::Strip(mut tokens) => {
                    let coders = Coders { flags: &mut flags, tokens: &mut tokens };
                    model.code(coders, &mut window, &planes, &mut mags)?;
                    tokens.finish()?;
                }
            }
            std::mem::swap(&mut last, &mut mags);
            out.push(window);
        }
        flags.finish()?;
        Ok((out, last))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn decodes_what_was_encoded(
            (h, w, planes) in (1usize..90, 1usize..90, 1usize..6),
            seed: u64,
            spread in 0u32..50,
        ) {
            let layout = Layout::new(h, w);
            let (contexts, windows) = windows(&layout, planes, seed, spread);
            let (flags, tokens, magnitudes) = encode(&layout, &contexts, &windows);
            let (out, seen) = decode(&layout, &contexts, (&flags, &tokens), windows.len()).unwrap();
            prop_assert_eq!(&out, &windows);
            prop_assert_eq!(&magnitudes.mags, &seen.mags);
            prop_assert_eq!(&magnitudes.flags, &seen.flags);
        }

        #[test]
        fn changed_bytes_end_in_an_error_or_some_indices(
            (h, w, planes) in (1usize..90, 1usize..90, 1usize..6),
            (seed, spread) in (any::<u64>(), 0u32..50),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            kept in any::<prop::sample::Index>(),
        ) {
            let layout = Layout::new(h, w);
            let (contexts, windows) = windows(&layout, planes, seed, spread);
            let (flags, mut tokens, _) = encode(&layout, &contexts, &windows);
            for (at, byte) in changes {
                let at = at.index(tokens.len());
                tokens[at] = byte;
            }
            let _ = decode(&layout, &contexts, (&flags, &tokens), windows.len());
            let kept = kept.index(tokens.len());
            prop_assert!(decode(&layout, &contexts, (&flags, &tokens[..kept]), windows.len()).is_err());
        }
    }

    #[test]
    fn half_octaves_follow_each_other() {
        for token in 0..MOST_TOKENS - 1 {
            let (least, digits) = RANGES[token];
            assert_eq!(u64::from(least) + (1 << digits), u64::from(RANGES[token + 1].0), "{token}");
        }
        for magnitude in
            (0..100_000).chain((0..31).flat_map(|n| [(1u32 << n) - 1, 1 << n, (3 << n >> 1) - 1, 3 << n >> 1]))
        {
            let found = RANGES.iter().rposition(|(least, _)| *least <= magnitude).unwrap();
            assert_eq!(usize::from(token(magnitude as i32)), found, "{magnitude}");
        }
        assert_eq!(usize::from(token(i32::MAX)), MOST_TOKENS - 1);
    }
}
