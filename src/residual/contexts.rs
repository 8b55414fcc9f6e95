//! The context coder: quantiser indices to bits and back, each bit under a probability learnt from bits that both
//! sides know already.
//!
//! In: planes of indices in the wavelet's layout, and for each plane which earlier planes resemble it. Order: bands
//! coarse to fine, in each band all planes, in each plane rows; so a decoder that needs a reduced resolution stops
//! early. Blocks of 8 × 8 indices say first whether they hold anything. An index is a zero flag, unary bits up to a
//! limit, and beyond it an Exp-Golomb code; in busy places an exponent and a mantissa instead.
//!
//! The model is one of two: one counter a bit ([`Mixing::Off`], fast), or several under different contexts, mixed
//! ([`Mixing::On`]).

use super::bands::{BLOCK_FLAGS, BandContext, BandRow, CLASSES, LEVELS, Planes, RowCoder, RowFlags, code_flags, walk};
use super::layout::{BLOCK, Magnitudes};
use super::mixed_bit::{INPUTS, MixedBit};
use super::neighbours::{Neighbours, SUMS, Strip};
use super::priors::{self, Trained};
use super::real::Index;
use crate::entropy::{BitCoder, Counter, Mixer, probability, stretch};
use crate::error::{Error, Result};
use multiversion::multiversion;
use std::sync::LazyLock;

/// Unary bits of a magnitude before its Exp-Golomb escape.
const UNARY: u32 = 14;

/// Whether the contexts of a bit are mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mixing {
    /// One counter a bit: fast.
    Off,
    /// Several counters a bit under different contexts, mixed.
    On,
}

/// All adaptive state of the coder. It lives through the windows of a group, so that a window profits from those
/// before.
#[derive(Clone, Debug)]
pub(crate) struct ContextModel {
    mixing: Mixing,
    block: Vec<Counter>,
    zero: MixedBit<6, ZERO_LIMIT>,
    more: MixedBit<4, MORE_LIMIT>,
    exponent: [Vec<Counter>; 2],
    mantissa: Vec<Counter>,
    escape: Vec<Counter>,
}

/// Sizes of the zero flag's counter tables.
const ZERO_SIZES: [usize; 6] =
    [SUMS * SUMS, SUMS * 16 * 8, 32 * LEVELS * 4, 243 * 3, CLASSES * LEVELS * 12, SUMS * 12 * 6];
/// Sizes of the unary bits' counter tables.
const MORE_SIZES: [usize; 4] = [16 * 32, 16 * 16 * 8, 16 * LEVELS * 4 * 8, 16 * 8 * 8];

/// Limits of the counters: how far back they remember.
const ZERO_LIMIT: u32 = 250;
const MORE_LIMIT: u32 = 120;
/// [`ContextModel::code`] with one counter a bit.
#[multiversion(targets("x86_64+avx2"))]
fn code_single<C: BitCoder, I: Index>(
    model: &mut ContextModel,
    coder: &mut C,
    indices: &mut [I],
    planes: &Planes<'_>,
    magnitudes: &mut Magnitudes,
) -> Result<()> {
    code_window::<C, I, false>(model, coder, indices, planes, magnitudes)
}

/// [`ContextModel::code`] with contexts mixed.
#[multiversion(targets("x86_64+avx2"))]
fn code_mixed<C: BitCoder, I: Index>(
    model: &mut ContextModel,
    coder: &mut C,
    indices: &mut [I],
    planes: &Planes<'_>,
    magnitudes: &mut Magnitudes,
) -> Result<()> {
    code_window::<C, I, true>(model, coder, indices, planes, magnitudes)
}

#[inline(always)]
fn code_window<C: BitCoder, I: Index, const MIXING: bool>(
    model: &mut ContextModel,
    coder: &mut C,
    indices: &mut [I],
    planes: &Planes<'_>,
    magnitudes: &mut Magnitudes,
) -> Result<()> {
    // In the function's own hands: the coder's few numbers stay in registers.
    let mut work = Work::<C, MIXING> { model, coder: std::mem::take(coder) };
    let done = walk(&mut work, indices, planes, magnitudes);
    *coder = work.coder;
    done
}

/// A model and a coder, at their work on a window.
struct Work<'a, C, const MIXING: bool> {
    model: &'a mut ContextModel,
    coder: C,
}

impl<C: BitCoder, I: Index, const MIXING: bool> RowCoder<I> for Work<'_, C, MIXING> {
    #[inline(always)]
    fn flags(&mut self, frame: &[I], context: &BandContext<'_>, row: RowFlags<'_>) {
        code_flags(&mut self.model.block, &mut self.coder, frame, context, row);
    }

    #[inline(always)]
    fn row(&mut self, frame: &mut [I], context: &BandContext<'_>, row: BandRow<'_>) -> Result<()> {
        self.model.code_row::<C, I, MIXING>(&mut self.coder, frame, context, row)
    }
}

impl ContextModel {
    /// Fresh state, from the trained priors.
    pub(crate) fn new(mixing: Mixing) -> Self {
        Self { mixing, ..<Self as Trained>::start().clone() }
    }

    /// The counters of flags of blocks.
    pub(super) fn block(&self) -> &[Counter] {
        &self.block
    }

    /// Untrained state.
    fn blank(mixing: Mixing) -> Self {
        let counters = |n: usize| vec![Counter::default(); n];
        Self {
            mixing,
            block: counters(BLOCK_FLAGS),
            zero: MixedBit::new(ZERO_SIZES, [LEVELS * 4, 32]),
            more: MixedBit::new(MORE_SIZES, [16, 32]),
            exponent: [counters(64 * 32), counters(64 * SUMS)],
            mantissa: counters(64 * 4),
            escape: counters(64),
        }
    }

    /// Codes the indices of a window's planes (`[planes][h][w]`, the wavelet's layout), or when decoding fills them in.
    /// `magnitudes` is left for the next window.
    ///
    /// # Errors
    /// `Corrupt` when decoding bytes that no encoder wrote.
    pub(crate) fn code<C: BitCoder, I: Index>(
        &mut self,
        coder: &mut C,
        indices: &mut [I],
        planes: &Planes<'_>,
        magnitudes: &mut Magnitudes,
    ) -> Result<()> {
        magnitudes.reset(planes.layout, planes.contexts.len());
        match self.mixing {
            Mixing::On => code_mixed(self, coder, indices, planes, magnitudes),
            Mixing::Off => code_single(self, coder, indices, planes, magnitudes),
        }
    }

    /// Codes a row of a band, but for blocks that hold nothing.
    #[inline(always)]
    fn code_row<C: BitCoder, I: Index, const MIXING: bool>(
        &mut self,
        coder: &mut C,
        frame: &mut [I],
        context: &BandContext<'_>,
        BandRow { y, own, flags }: BandRow<'_>,
    ) -> Result<()> {
        let &BandContext { band, width, .. } = context;
        for bx in 0..band.w.div_ceil(BLOCK) {
            if flags[band.flags + y / BLOCK * band.flag_stride + bx] == 0 {
                continue;
            }
            let x_end = band.w.min((bx + 1) * BLOCK);
            let at = band.mags + y * band.mag_stride + bx * BLOCK;
            let strip = Strip::new::<MIXING>(own, &context.views, band, at, y, bx * BLOCK);
            let (mut west, mut west2) = (u32::from(own[at - 1]), u32::from(own[at - 2]));
            let slots = &mut frame[(band.y0 + y) * width + band.x0..][bx * BLOCK..x_end];
            for (k, slot) in slots.iter_mut().enumerate() {
                let around = strip.neighbours::<MIXING>(k, west, west2);
                let value = slot.to_i64();
                let magnitude = self.magnitude::<C, MIXING>(coder, value.unsigned_abs(), &around, context)?;
                (west, west2) = (0, west);
                if magnitude == 0 {
                    if !C::ENCODES {
                        *slot = I::from_i64(0);
                    }
                    continue;
                }
                let negative = coder.raw(u64::from(value < 0), 1) == 1;
                if !C::ENCODES {
                    if magnitude > I::LIMIT {
                        return Err(Error::corrupt("a coefficient is larger than any that is coded"));
                    }
                    *slot = I::from_i64(if negative { -(magnitude as i64) } else { magnitude as i64 });
                }
                west = magnitude.min(255) as u32;
                own[at + k] = west as u8;
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn magnitude<C: BitCoder, const MIXING: bool>(
        &mut self,
        coder: &mut C,
        value: u64,
        n: &Neighbours,
        context: &BandContext<'_>,
    ) -> Result<u64> {
        if n.busy {
            return self.busy_magnitude::<C, MIXING>(coder, value, n);
        }
        let &BandContext { level, plane_class, .. } = context;
        let band = level * 4 + context.band.orient as usize;
        let at = [
            n.inside * SUMS + n.near,
            (n.inside * 16 + n.parent.min(15)) * 8 + n.sibling.min(7),
            n.all * LEVELS * 4 + band,
            n.pattern * 3 + n.parent.min(4) / 2,
            (plane_class * LEVELS + level) * 12 + n.all.min(11),
            (n.near * 12 + n.far.min(11)) * 6 + n.parent.min(5),
        ];
        if !self.zero.code::<C, MIXING>(coder, value != 0, at, [band, n.all]) {
            return Ok(0);
        }
        let mut magnitude = 1;
        let mut bin = 0usize;
        while magnitude <= u64::from(UNARY) {
            let at = [
                bin * 32 + n.all,
                (bin * 16 + n.inside.min(15)) * 8 + (n.near / 2).min(7),
                (bin * LEVELS * 4 + band) * 8 + (plane_class / 2).min(7),
                (bin * 8 + (n.parent / 2).min(7)) * 8 + (n.far / 2).min(7),
            ];
            if !self.more.code::<C, MIXING>(coder, value > magnitude, at, [bin, n.all]) {
                return Ok(magnitude);
            }
            magnitude += 1;
            bin += 1;
        }
        Ok(magnitude + exp_golomb(coder, value.wrapping_sub(magnitude), &mut self.escape)?)
    }

    /// A magnitude where large ones are expected: its exponent (the bit length of magnitude + 1, less 1) in unary under
    /// the expectation, the two bits after its leading one under the exponent, the rest raw.
    #[inline(always)]
    fn busy_magnitude<C: BitCoder, const MIXING: bool>(
        &mut self,
        coder: &mut C,
        value: u64,
        n: &Neighbours,
    ) -> Result<u64> {
        let target = 63 - (value + 1).leading_zeros();
        let mut exponent = 0u32;
        loop {
            let at = [exponent as usize * 32 + n.all, exponent as usize * SUMS + n.inside];
            let p = if MIXING {
                let a = stretch(self.exponent[0][at[0]].p1());
                let b = stretch(self.exponent[1][at[1]].p1());
                probability(a, b)
            } else {
                self.exponent[0][at[0]].p1()
            };
            let more = coder.bit(target > exponent, p);
            self.exponent[0][at[0]].update(more, MORE_LIMIT);
            if MIXING {
                self.exponent[1][at[1]].update(more, MORE_LIMIT);
            }
            if !more {
                break;
            }
            exponent += 1;
            if exponent > 60 {
                return Err(Error::corrupt("a coefficient's exponent is out of range"));
            }
        }
        let mantissa = (value + 1) & ((1u64 << exponent) - 1);
        let mut out = 1u64;
        let modelled = exponent.min(2);
        for i in 0..modelled {
            let at = exponent as usize * 4 + out as usize;
            let counter = &mut self.mantissa[at & 255];
            let bit = coder.bit(mantissa >> (exponent - 1 - i) & 1 == 1, counter.p1());
            counter.update(bit, ZERO_LIMIT);
            out = out << 1 | u64::from(bit);
        }
        let rest = exponent - modelled;
        Ok((out << rest | coder.raw(mantissa, rest)) - 1)
    }
}

impl Trained for ContextModel {
    fn start() -> &'static Self {
        static START: LazyLock<ContextModel> = LazyLock::new(|| {
            let mut model = ContextModel::blank(Mixing::On);
            priors::fill(&mut model);
            model
        });
        &START
    }

    fn tables(&mut self) -> Vec<&mut Vec<Counter>> {
        let mut tables = vec![&mut self.block];
        tables.extend(&mut self.zero.tables);
        tables.extend(&mut self.more.tables);
        tables.extend(&mut self.exponent);
        tables.extend([&mut self.mantissa, &mut self.escape]);
        tables
    }

    fn mixers(&mut self) -> Vec<&mut Mixer<INPUTS>> {
        let mut mixers: Vec<_> = self.zero.mixers.iter_mut().collect();
        mixers.extend(&mut self.more.mixers);
        mixers
    }
}

/// An Exp-Golomb code whose exponent's bits are adaptive.
#[inline(always)]
fn exp_golomb<C: BitCoder>(coder: &mut C, value: u64, counters: &mut [Counter]) -> Result<u64> {
    let target = 63 - value.wrapping_add(1).max(1).leading_zeros();
    let mut exponent = 0u32;
    loop {
        let counter = &mut counters[exponent as usize];
        let more = coder.bit(target > exponent, counter.p1());
        counter.update(more, MORE_LIMIT);
        if !more {
            break;
        }
        exponent += 1;
        if exponent > 60 {
            return Err(Error::corrupt("a coefficient's exponent is out of range"));
        }
    }
    let mantissa = value.wrapping_add(1) & ((1u64 << exponent) - 1);
    Ok((1 << exponent | coder.raw(mantissa, exponent)) - 1)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::entropy::{Decoder, Encoder};
    use crate::residual::bands::{PlaneContext, Resembles};
    use crate::residual::layout::Layout;
    use proptest::prelude::*;

    /// Two windows of planes of `layout`, magnitudes of up to 2^`spread`, and contexts of the planes.
    pub(in crate::residual) fn windows(
        layout: &Layout,
        planes: usize,
        seed: u64,
        spread: u32,
    ) -> (Vec<PlaneContext>, Vec<Vec<i64>>) {
        let mut state = seed | 1;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        let contexts = (0..planes)
            .map(|k| PlaneContext {
                near: if k > 0 { Resembles::Current(k - 1) } else { Resembles::Previous(0) },
                far: if k > 1 { Resembles::Current(k - 2) } else { Resembles::None },
                class: k,
            })
            .collect();
        let mut window = || {
            let value = |_| {
                let bits = draw() % u64::from(spread + 1);
                let v = ((draw() << 20 | draw() & 0xf_ffff) & ((1 << bits) - 1)) as i64;
                if draw() & 1 == 0 { v } else { -v }
            };
            (0..planes * layout.len()).map(value).collect()
        };
        (contexts, vec![window(), window()])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn decodes_what_was_encoded(
            (h, w, planes) in (1usize..60, 1usize..60, 1usize..5),
            seed: u64,
            spread in 0u32..40,
            mixes: bool,
        ) {
            let mixing = if mixes { Mixing::On } else { Mixing::Off };
            let layout = Layout::new(h, w);
            let (contexts, windows) = windows(&layout, planes, seed, spread);
            let mut model = ContextModel::new(mixing);
            let mut encoder = Encoder::new(Vec::new());
            let (mut last, mut mags) = (Magnitudes::default(), Magnitudes::default());
            for (i, window) in windows.iter().enumerate() {
                let previous = (i > 0).then_some(&last);
                let planes = Planes { layout: &layout, contexts: &contexts, previous, finest: 1 };
                model.code(&mut encoder, &mut window.clone(), &planes, &mut mags).unwrap();
                std::mem::swap(&mut last, &mut mags);
            }
            let bytes = encoder.finish();
            let mut model = ContextModel::new(mixing);
            let mut decoder = Decoder::new(&bytes);
            for (i, window) in windows.iter().enumerate() {
                let previous = (i > 0).then_some(&last);
                let mut out = vec![0i64; window.len()];
                let planes = Planes { layout: &layout, contexts: &contexts, previous, finest: 1 };
                model.code(&mut decoder, &mut out, &planes, &mut mags).unwrap();
                std::mem::swap(&mut last, &mut mags);
                prop_assert_eq!(&out, window);
            }
            decoder.finish().unwrap();
        }
    }
}
