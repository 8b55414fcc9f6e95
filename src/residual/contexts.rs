//! The context coder: quantiser indices to bits and back, each bit under a probability learnt from what both sides
//! already know.
//!
//! In: planes of indices in the wavelet's layout, and for each plane which earlier planes resemble it. Order: bands coarse to
//! fine, in each band all planes, in each plane rows; so a decoder that needs a reduced resolution stops early. Blocks of
//! 8 × 8 indices say first whether they hold anything. An index is a zero flag, unary bits up to a limit, and beyond it an
//! Exp-Golomb code; in busy places an exponent and a mantissa instead.
//!
//! The model is one of two: one counter a bit ([`Mixing::Off`], fast), or several under different contexts, mixed
//! ([`Mixing::On`]).

use super::layout::{BLOCK, Band, Layout, Magnitudes, Orient};
use super::neighbours::{Neighbours, SUMS, Strip, Views};
use super::real::Index;
use crate::entropy::{BitCoder, Counter, Mixer, probability, stretch};
use crate::error::{Error, Result};
use multiversion::multiversion;

/// Which earlier planes resemble a plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resembles {
    /// None.
    None,
    /// A plane of this window, coded before it.
    Current(usize),
    /// A plane of the previous window.
    Previous(usize),
}

/// How one plane is coded: what it resembles, and its class (the order of its expected energy).
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlaneContext {
    pub(crate) near: Resembles,
    pub(crate) far: Resembles,
    pub(crate) class: usize,
}

/// Classes of planes.
pub(crate) const CLASSES: usize = 16;
/// Classes of levels.
const LEVELS: usize = 8;
/// Unary bits of a magnitude before its Exp-Golomb escape.
const UNARY: u32 = 14;

pub(super) const INPUTS: usize = 7;
/// The input of the bias: the logistic of a probability of about 0.73.
const BIAS: i32 = 256;

/// All adaptive state of the coder. It lives through the windows of a group, so that a window profits from those before.
#[derive(Clone, Debug)]
pub(crate) struct ContextModel {
    mixing: bool,
    block: Vec<Counter>,
    zero: [Vec<Counter>; 6],
    zero_mixers: [Mixer<INPUTS>; 2],
    more: [Vec<Counter>; 4],
    more_mixers: [Mixer<INPUTS>; 2],
    exponent: [Vec<Counter>; 2],
    mantissa: Vec<Counter>,
    escape: Vec<Counter>,
}

/// Sizes of the zero flag's counter tables.
const ZERO_SIZES: [usize; 6] =
    [SUMS * SUMS, SUMS * 16 * 8, 32 * LEVELS * 4, 243 * 3, CLASSES * LEVELS * 12, SUMS * 12 * 6];
/// Sizes of the unary bits' counter tables.
const MORE_SIZES: [usize; 4] = [16 * 32, 16 * 16 * 8, 16 * LEVELS * 4 * 8, 16 * 8 * 8];
/// Contexts of a block's flag.
const BLOCK_SIZE: usize = 5 * 3 * 3 * LEVELS * 2;

/// Limits of the counters: how far back they remember.
const ZERO_LIMIT: u32 = 250;
const MORE_LIMIT: u32 = 120;
/// Learning rates of the mixers.
const ZERO_RATE: i32 = 3;
const MORE_RATE: i32 = 3;

/// The planes of a window, but for their indices.
struct Planes<'a> {
    layout: &'a Layout,
    contexts: &'a [PlaneContext],
    previous: Option<&'a Magnitudes>,
    finest: usize,
}

/// [`ContextModel::code`] with one counter a bit.
#[multiversion(targets("x86_64+avx2"))]
fn code_single<C: BitCoder, I: Index>(
    model: &mut ContextModel,
    coder: &mut C,
    indices: &mut [I],
    planes: &Planes<'_>,
    magnitudes: &mut Magnitudes,
) -> Result<()> {
    // In the function's own hands: the coder's few numbers stay in registers.
    let mut own = std::mem::take(coder);
    let done = model.code_planes::<C, I, false>(&mut own, indices, planes, magnitudes);
    *coder = own;
    done
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
    let mut own = std::mem::take(coder);
    let done = model.code_planes::<C, I, true>(&mut own, indices, planes, magnitudes);
    *coder = own;
    done
}

impl ContextModel {
    /// Fresh state, from the trained priors.
    pub(crate) fn new(mixing: bool) -> Self {
        Self { mixing, ..super::priors::model().clone() }
    }

    /// State that knows nothing: what priors are trained from.
    pub(super) fn blank(mixing: bool) -> Self {
        let counters = |n: usize| vec![Counter::default(); n];
        let initial = 65536 * 3 / 10;
        Self {
            mixing,
            block: counters(BLOCK_SIZE),
            zero: ZERO_SIZES.map(counters),
            zero_mixers: [Mixer::new(LEVELS * 4, initial), Mixer::new(32, initial)],
            more: MORE_SIZES.map(counters),
            more_mixers: [Mixer::new(16, initial), Mixer::new(32, initial)],
            exponent: [counters(64 * 32), counters(64 * SUMS)],
            mantissa: counters(64 * 4),
            escape: counters(64),
        }
    }

    /// All counters, table by table: the order in which priors are stored.
    pub(super) fn tables(&mut self) -> Vec<&mut Vec<Counter>> {
        let mut tables = vec![&mut self.block];
        tables.extend(&mut self.zero);
        tables.extend(&mut self.more);
        tables.extend(&mut self.exponent);
        tables.extend([&mut self.mantissa, &mut self.escape]);
        tables
    }

    /// All mixers, in the order in which priors are stored.
    pub(super) fn mixers(&mut self) -> Vec<&mut Mixer<INPUTS>> {
        let mut mixers: Vec<_> = self.zero_mixers.iter_mut().collect();
        mixers.extend(&mut self.more_mixers);
        mixers
    }

    /// Codes the indices of `planes` frames (`[planes][h][w]`, the wavelet's layout), or when decoding fills them in; bands
    /// finer than `finest` (1: all) are left out. `magnitudes` is left for the next window; `previous` is the last one's.
    ///
    /// # Errors
    /// `Corrupt` when decoding bytes that no encoder wrote.
    pub(crate) fn code<C: BitCoder, I: Index>(
        &mut self,
        coder: &mut C,
        layout: &Layout,
        indices: &mut [I],
        contexts: &[PlaneContext],
        previous: Option<&Magnitudes>,
        magnitudes: &mut Magnitudes,
        finest: usize,
    ) -> Result<()> {
        magnitudes.reset(layout, contexts.len());
        let planes = Planes { layout, contexts, previous, finest };
        if self.mixing {
            code_mixed(self, coder, indices, &planes, magnitudes)
        } else {
            code_single(self, coder, indices, &planes, magnitudes)
        }
    }

    #[inline(always)]
    fn code_planes<C: BitCoder, I: Index, const MIXING: bool>(
        &mut self,
        coder: &mut C,
        indices: &mut [I],
        planes: &Planes<'_>,
        magnitudes: &mut Magnitudes,
    ) -> Result<()> {
        let &Planes { layout, contexts, previous, finest } = planes;
        for (index, band) in layout.bands.iter().enumerate() {
            if band.level < finest && band.orient != Orient::LowLow {
                break;
            }
            for (plane, context) in contexts.iter().enumerate() {
                let frame = &mut indices[plane * layout.len()..][..layout.len()];
                self.code_band::<C, I, MIXING>(
                    coder, layout, index, band, frame, plane, context, previous, magnitudes,
                )?;
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn code_band<C: BitCoder, I: Index, const MIXING: bool>(
        &mut self,
        coder: &mut C,
        layout: &Layout,
        band_index: usize,
        band: &Band,
        frame: &mut [I],
        plane: usize,
        context: &PlaneContext,
        previous: Option<&Magnitudes>,
        magnitudes: &mut Magnitudes,
    ) -> Result<()> {
        let (earlier, own) = magnitudes.mags.split_at_mut(plane * layout.mag_len);
        let own = &mut own[..layout.mag_len];
        let (earlier_flags, own_flags) = magnitudes.flags.split_at_mut(plane * layout.flag_len);
        let own_flags = &mut own_flags[..layout.flag_len];
        let pick = |resembles: Resembles| match resembles {
            Resembles::None => None,
            Resembles::Current(k) => Some((
                &earlier[k * layout.mag_len..][..layout.mag_len],
                &earlier_flags[k * layout.flag_len..][..layout.flag_len],
            )),
            Resembles::Previous(k) => previous.map(|m| {
                (&m.mags[k * layout.mag_len..][..layout.mag_len], &m.flags[k * layout.flag_len..][..layout.flag_len])
            }),
        };
        let (near, far) = (pick(context.near), pick(context.far));
        let parent = band.parent.map(|p| layout.bands[p]);
        let siblings: &[Band] = match band.orient {
            Orient::LowLow | Orient::HighLow => &[],
            Orient::LowHigh => &layout.bands[band_index - 1..band_index],
            Orient::HighHigh => &layout.bands[band_index.saturating_sub(2)..band_index],
        };
        let siblings =
            if siblings.iter().all(|s| s.level == band.level && s.orient != Orient::LowLow) { siblings } else { &[] };
        let views = Views { near: near.map(|n| n.0), far: far.map(|f| f.0), parent: parent.as_ref(), siblings };
        let level = band.level.min(LEVELS - 1);
        let plane_class = context.class.min(CLASSES - 1);
        let blocks_w = band.w.div_ceil(BLOCK);
        for by in 0..band.h.div_ceil(BLOCK) {
            let y_end = band.h.min((by + 1) * BLOCK);
            for bx in 0..blocks_w {
                let x_end = band.w.min((bx + 1) * BLOCK);
                let at = band.flags + by * band.flag_stride + bx;
                let s = band.flag_stride;
                let around = own_flags[at - 1] + own_flags[at - s] + own_flags[at - s - 1] + own_flags[at - s + 1];
                let resembling = near.map_or(0, |(_, f)| {
                    if f[at] != 0 { 2 } else { usize::from(f[at - 1] | f[at + 1] | f[at - s] | f[at + s]) }
                });
                let above = parent.map_or(0, |p| {
                    let at = p.flags + (by / 2) * p.flag_stride + bx / 2;
                    1 + usize::from(own_flags[at] != 0)
                });
                let first = usize::from(plane_class == 0);
                let context = (((usize::from(around) * 3 + resembling) * 3 + above) * LEVELS + level) * 2 + first;
                let any = C::ENCODES
                    && (by * BLOCK..y_end).any(|y| {
                        let row = &frame[(band.y0 + y) * layout.w + band.x0..][bx * BLOCK..x_end];
                        row.iter().fold(false, |any, v| any | (*v != I::default()))
                    });
                let counter = &mut self.block[context];
                let any = coder.bit(any, counter.p1());
                counter.update(any, ZERO_LIMIT);
                own_flags[at] = u8::from(any);
            }
            for y in by * BLOCK..y_end {
                for bx in 0..blocks_w {
                    if own_flags[band.flags + by * band.flag_stride + bx] == 0 {
                        continue;
                    }
                    let x_end = band.w.min((bx + 1) * BLOCK);
                    let at = band.mags + y * band.mag_stride + bx * BLOCK;
                    let strip = Strip::new::<MIXING>(own, &views, band, at, y, bx * BLOCK);
                    let (mut west, mut west2) = (u32::from(own[at - 1]), u32::from(own[at - 2]));
                    let slots = &mut frame[(band.y0 + y) * layout.w + band.x0..][bx * BLOCK..x_end];
                    for (k, slot) in slots.iter_mut().enumerate() {
                        let around = strip.neighbours::<MIXING>(k, west, west2);
                        let value = slot.to_i64();
                        let magnitude = self.magnitude::<C, MIXING>(
                            coder,
                            value.unsigned_abs(),
                            &around,
                            level,
                            band.orient,
                            plane_class,
                        )?;
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
        level: usize,
        orient: Orient,
        plane_class: usize,
    ) -> Result<u64> {
        if n.busy {
            return self.busy_magnitude::<C, MIXING>(coder, value, n);
        }
        let band = level * 4 + orient as usize;
        let at = [
            n.inside * SUMS + n.near,
            (n.inside * 16 + n.parent.min(15)) * 8 + n.sibling.min(7),
            n.all * LEVELS * 4 + band,
            n.pattern * 3 + n.parent.min(4) / 2,
            (plane_class * LEVELS + level) * 12 + n.all.min(11),
            (n.near * 12 + n.far.min(11)) * 6 + n.parent.min(5),
        ];
        if !self.code_zero::<C, MIXING>(coder, value != 0, at, band, n.all) {
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
            if !self.code_more::<C, MIXING>(coder, value > magnitude, at, bin, n.all) {
                return Ok(magnitude);
            }
            magnitude += 1;
            bin += 1;
        }
        Ok(magnitude + exp_golomb(coder, value.wrapping_sub(magnitude), &mut self.escape)?)
    }

    #[inline(always)]
    fn code_zero<C: BitCoder, const MIXING: bool>(
        &mut self,
        coder: &mut C,
        nonzero: bool,
        at: [usize; 6],
        band: usize,
        all: usize,
    ) -> bool {
        if !MIXING {
            let counter = &mut self.zero[0][at[0]];
            let bit = coder.bit(nonzero, counter.p1());
            counter.update(bit, ZERO_LIMIT);
            return bit;
        }
        let mut inputs = [BIAS; INPUTS];
        for (k, input) in inputs.iter_mut().enumerate().take(6) {
            *input = stretch(self.zero[k][at[k]].p1());
        }
        let [first, second] = &mut self.zero_mixers;
        let p = probability(first.mix(&inputs, band), second.mix(&inputs, all));
        let bit = coder.bit(nonzero, p);
        first.update(&inputs, bit, ZERO_RATE);
        second.update(&inputs, bit, ZERO_RATE);
        for (k, table) in self.zero.iter_mut().enumerate() {
            table[at[k]].update(bit, ZERO_LIMIT);
        }
        bit
    }

    #[inline(always)]
    fn code_more<C: BitCoder, const MIXING: bool>(
        &mut self,
        coder: &mut C,
        more: bool,
        at: [usize; 4],
        bin: usize,
        all: usize,
    ) -> bool {
        if !MIXING {
            let counter = &mut self.more[0][at[0]];
            let bit = coder.bit(more, counter.p1());
            counter.update(bit, MORE_LIMIT);
            return bit;
        }
        let mut inputs = [0; INPUTS];
        for k in 0..4 {
            inputs[k] = stretch(self.more[k][at[k]].p1());
        }
        inputs[4] = BIAS;
        let [first, second] = &mut self.more_mixers;
        let p = probability(first.mix(&inputs, bin), second.mix(&inputs, all));
        let bit = coder.bit(more, p);
        first.update(&inputs, bit, MORE_RATE);
        second.update(&inputs, bit, MORE_RATE);
        for (k, table) in self.more.iter_mut().enumerate() {
            table[at[k]].update(bit, MORE_LIMIT);
        }
        bit
    }

    /// A magnitude where large ones are expected: its exponent (the bit length of magnitude + 1, less 1) in unary under the
    /// expectation, the two bits after its leading one under the exponent, the rest raw.
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
mod tests {
    use super::*;
    use crate::entropy::{Decoder, Encoder};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn decodes_what_was_encoded(h in 1usize..60, w in 1usize..60, planes in 1usize..5, seed: u64, spread in 0u32..40, mixing: bool) {
            let layout = Layout::new(h, w);
            let mut state = seed | 1;
            let mut draw = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state >> 33
            };
            let contexts: Vec<_> = (0..planes)
                .map(|k| PlaneContext {
                    near: if k > 0 { Resembles::Current(k - 1) } else { Resembles::Previous(0) },
                    far: if k > 1 { Resembles::Current(k - 2) } else { Resembles::None },
                    class: k,
                })
                .collect();
            let mut windows: Vec<Vec<i64>> = Vec::new();
            for _ in 0..2 {
                windows.push((0..planes * h * w).map(|_| {
                    let bits = draw() % u64::from(spread + 1);
                    let v = (draw() & ((1 << bits) - 1)) as i64;
                    if draw() & 1 == 0 { v } else { -v }
                }).collect());
            }
            let mut model = ContextModel::new(mixing);
            let mut encoder = Encoder::new(Vec::new());
            let (mut last, mut mags) = (Magnitudes::default(), Magnitudes::default());
            for (i, window) in windows.iter().enumerate() {
                let previous = (i > 0).then_some(&last);
                model.code(&mut encoder, &layout, &mut window.clone(), &contexts, previous, &mut mags, 1).unwrap();
                std::mem::swap(&mut last, &mut mags);
            }
            let bytes = encoder.finish();
            let mut model = ContextModel::new(mixing);
            let mut decoder = Decoder::new(&bytes);
            for (i, window) in windows.iter().enumerate() {
                let previous = (i > 0).then_some(&last);
                let mut out = vec![0i64; window.len()];
                model.code(&mut decoder, &layout, &mut out, &contexts, previous, &mut mags, 1).unwrap();
                std::mem::swap(&mut last, &mut mags);
                prop_assert_eq!(&out, window);
            }
            decoder.finish().unwrap();
        }
    }
}
