//! Masks: the points that come back bit for bit (NaN, ±Inf, the fill value), and what the transforms see in their place.
//!
//! In: a window's values. Out: a class per point (0: an ordinary value; k: the k-th special bit pattern), its code, and the
//! window with its holes filled smoothly, so that no edge reaches the wavelet. Masks that do not change cost next to nothing.

use crate::entropy::{BitCoder, Counter, Mixer, probability, stretch};
use crate::error::{Error, Result};
use crate::residual::real::Real;

/// The most special patterns of a field; with more it is coded without loss.
pub(crate) const MAX_SPECIALS: usize = 15;

/// The distinct bit patterns of a field that are returned bit-exact: NaNs with their payloads, ±Inf, the fill value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Specials {
    patterns: Vec<u64>,
}

impl Specials {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a bit pattern (widened) unless it is there; false where there is no room for it.
    pub(crate) fn add(&mut self, bits: u64) -> bool {
        if self.class_of(bits).is_some() {
            return true;
        }
        if self.patterns.len() == MAX_SPECIALS {
            return false;
        }
        self.patterns.push(bits);
        true
    }

    /// The class of a bit pattern, from 1.
    #[inline]
    pub(crate) fn class_of(&self, bits: u64) -> Option<u8> {
        self.patterns.iter().position(|&p| p == bits).map(|i| i as u8 + 1)
    }

    /// The bit pattern of a class.
    pub(crate) fn bits(&self, class: u8) -> Option<u64> {
        self.patterns.get(usize::from(class).checked_sub(1)?).copied()
    }

    /// True where the field has none.
    pub(crate) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// All patterns, by class.
    pub(crate) fn patterns(&self) -> &[u64] {
        &self.patterns
    }
}

/// Margins of the padded frames that contexts are read from: rows above, rows below, columns on either side.
const ABOVE: usize = 2;
const BELOW: usize = 1;
const BESIDE: usize = 2;

/// How far back the counters remember.
const LIMIT: u32 = 250;
/// Learning rate of the mixer.
const RATE: i32 = 4;
/// Inputs of the mixer: three contexts and a bias.
const INPUTS: usize = 4;
const BIAS: i32 = 256;
/// Bits of the three contexts, besides the one that says whether an earlier frame is known.
const BITS: [usize; 3] = [7, 11, 13];

/// The adaptive coder of masks: one state for all windows of a segment, whose frames have one size.
#[derive(Clone, Debug)]
pub(crate) struct MaskModel {
    /// The last frame coded, padded; empty before the first.
    last: Vec<u8>,
    any: [Counter; 2],
    same: [Counter; 2],
    empty_row: [Counter; 6],
    points: [Vec<Counter>; 3],
    mixer: Mixer<INPUTS>,
    class: Vec<Counter>,
    last_any: bool,
    last_same: bool,
}

impl MaskModel {
    /// Fresh state.
    pub(crate) fn new() -> Self {
        let small = (0..2usize << BITS[0]).map(prior).collect();
        let counters = |bits: usize| vec![Counter::default(); 2 << bits];
        Self {
            last: Vec::new(),
            any: [Counter::default(); 2],
            same: [Counter::default(), Counter::new(60000, 2)],
            empty_row: [Counter::default(); 6],
            points: [small, counters(BITS[1]), counters(BITS[2])],
            mixer: Mixer::new(32, 65536 * 4 / 10),
            class: vec![Counter::default(); 16 * 16],
            last_any: false,
            last_same: false,
        }
    }

    /// Codes the classes of a window, `[count][h][w]`, or when decoding fills them in. `kinds` is how many special patterns
    /// the field has: classes are at most that.
    ///
    /// # Errors
    /// `Corrupt` when decoding a class that is larger; `Internal` where the sizes contradict each other.
    pub(crate) fn code<C: BitCoder>(
        &mut self,
        coder: &mut C,
        classes: &mut [u8],
        count: usize,
        h: usize,
        w: usize,
        kinds: u8,
    ) -> Result<()> {
        let size = h * w;
        let stride = w + 2 * BESIDE;
        let padded = (h + ABOVE + BELOW) * stride;
        if classes.len() != count * size || !(self.last.is_empty() || self.last.len() == padded) {
            return Err(Error::internal("a mask does not have the size of its window"));
        }
        if C::ENCODES && classes.iter().any(|&c| c > kinds) {
            return Err(Error::internal("a mask holds a class that the field does not have"));
        }
        if kinds == 0 {
            classes.fill(0);
            return Ok(());
        }
        let any = classes.iter().any(|&c| c != 0);
        let any = code_bit(coder, any, &mut self.any[usize::from(self.last_any)]);
        self.last_any = any;
        if !any {
            classes.fill(0);
            self.last.clear();
            self.last.resize(padded, 0);
            return Ok(());
        }
        let inside = |y: usize| (y + ABOVE) * stride + BESIDE;
        for frame in classes.chunks_exact_mut(size.max(1)) {
            let known = !self.last.is_empty();
            if known {
                let last = &self.last;
                let same = C::ENCODES && (0..h).all(|y| frame[y * w..][..w] == last[inside(y)..][..w]);
                let same = code_bit(coder, same, &mut self.same[usize::from(self.last_same)]);
                self.last_same = same;
                if same {
                    for y in 0..h {
                        frame[y * w..][..w].copy_from_slice(&last[inside(y)..][..w]);
                    }
                    continue;
                }
            }
            let last = if known { std::mem::take(&mut self.last) } else { vec![0; padded] };
            let mut own = vec![0u8; padded];
            let mut above_empty = true;
            for y in 0..h {
                let at = inside(y);
                let row = &mut frame[y * w..][..w];
                let before = if !known { 2 } else { usize::from(last[at..][..w].iter().all(|&c| c == 0)) };
                let empty = row.iter().all(|&c| c == 0);
                let empty = code_bit(coder, empty, &mut self.empty_row[before * 2 + usize::from(above_empty)]);
                above_empty = empty;
                if empty {
                    row.fill(0);
                    continue;
                }
                for (x, slot) in row.iter_mut().enumerate() {
                    let class = self.point(coder, *slot, &own, &last, at + x, stride, known, kinds)?;
                    *slot = class;
                    own[at + x] = class;
                }
            }
            self.last = own;
        }
        Ok(())
    }

    /// Codes one point's class; `own` holds the points of this frame before it, `last` the frame before.
    #[inline(always)]
    fn point<C: BitCoder>(
        &mut self,
        coder: &mut C,
        class: u8,
        own: &[u8],
        last: &[u8],
        at: usize,
        stride: usize,
        known: bool,
        kinds: u8,
    ) -> Result<u8> {
        let bit = |frame: &[u8], at: usize| usize::from(frame[at] != 0);
        let up = at - stride;
        let near = bit(own, at - 1) | bit(own, up) << 1 | bit(own, up - 1) << 2 | bit(own, up + 1) << 3;
        let here = bit(last, at);
        let ahead = here | bit(last, at + 1) << 1 | bit(last, at + stride) << 2;
        let wide = bit(own, at - 2)
            | bit(own, up - stride) << 1
            | bit(own, up - 2) << 2
            | bit(own, up + 2) << 3
            | bit(own, up - stride - 1) << 4
            | bit(own, up - stride + 1) << 5;
        let around = bit(last, at - 1)
            | bit(last, up) << 1
            | bit(last, up - 1) << 2
            | bit(last, up + 1) << 3
            | bit(last, at + stride - 1) << 4
            | bit(last, at + stride + 1) << 5;
        let known = usize::from(known);
        let contexts = [
            known << BITS[0] | ahead << 4 | near,
            known << BITS[1] | here << 10 | wide << 4 | near,
            known << BITS[2] | around << 7 | ahead << 4 | near,
        ];
        let mut inputs = [BIAS; INPUTS];
        for ((input, table), &context) in inputs.iter_mut().zip(&self.points).zip(&contexts) {
            *input = stretch(table[context].p1());
        }
        let set = known << 4 | here << 3 | (near & 3) << 1 | near >> 3;
        let mixed = self.mixer.mix(&inputs, set);
        let special = coder.bit(class != 0, probability(mixed, mixed));
        self.mixer.update(&inputs, special, RATE);
        for (table, &context) in self.points.iter_mut().zip(&contexts) {
            table[context].update(special, LIMIT);
        }
        if !special {
            return Ok(0);
        }
        if kinds == 1 {
            return Ok(1);
        }
        let likely = [last[at], own[at - 1], own[up], own[up - 1], own[up + 1]];
        let likely = likely.into_iter().find(|&c| c != 0).unwrap_or(0);
        let counters = &mut self.class[usize::from(likely & 15) * 16..][..16];
        let mut node = 1usize;
        for i in (0..4).rev() {
            let bit = code_bit(coder, class >> i & 1 == 1, &mut counters[node]);
            node = node << 1 | usize::from(bit);
        }
        let class = (node & 15) as u8;
        if class == 0 || class > kinds {
            return Err(Error::corrupt("a mask holds a class that the field does not have"));
        }
        Ok(class)
    }
}

/// What the small context suggests before anything is learnt: its neighbours' weighted vote.
fn prior(context: usize) -> Counter {
    let known = context >> BITS[0] & 1;
    let bit = |i: usize| context >> i & 1;
    let votes = 3 * bit(0) + 3 * bit(1) + bit(2) + bit(3) + known * (16 * bit(4) + 2 * bit(5) + 2 * bit(6));
    let all = 8 + known * 20;
    Counter::new((65536 * (4 * votes + 1) / (4 * all + 2)) as u16, 2)
}

#[inline(always)]
fn code_bit<C: BitCoder>(coder: &mut C, bit: bool, counter: &mut Counter) -> bool {
    let bit = coder.bit(bit, counter.p1());
    counter.update(bit, LIMIT);
    bit
}

/// Sweeps over the holes at each level of the pyramid.
const SWEEPS: usize = 4;

/// One level of the pull–push pyramid: values, and how much of each cell is known (0 to 1).
struct Level {
    h: usize,
    w: usize,
    values: Vec<f64>,
    weights: Vec<f64>,
}

/// Fills the masked points (class not 0) of each frame smoothly from the valid ones of that frame; `frames` and `classes`
/// are `[count][h][w]`. The fill solves nearly a Laplace equation, so it never leaves the range of the valid points. Frames
/// without a valid point become 0, the mean in working units. Only the encoder does this.
pub(crate) fn fill_holes<R: Real>(frames: &mut [R], classes: &[u8], count: usize, h: usize, w: usize) {
    let size = h * w;
    debug_assert!(frames.len() == count * size && classes.len() == count * size);
    if size == 0 {
        return;
    }
    for (frame, classes) in frames.chunks_exact_mut(size).zip(classes.chunks_exact(size)) {
        let masked = classes.iter().filter(|&&c| c != 0).count();
        if masked == 0 {
            continue;
        }
        if masked == size {
            frame.fill(R::from_f64(0.0));
            continue;
        }
        let mut levels = vec![Level {
            h,
            w,
            values: frame.iter().zip(classes).map(|(v, &c)| if c == 0 { v.to_f64() } else { 0.0 }).collect(),
            weights: classes.iter().map(|&c| if c == 0 { 1.0 } else { 0.0 }).collect(),
        }];
        while let Some(finest) = levels.last() {
            if finest.weights.iter().all(|&w| w > 0.0) {
                break;
            }
            let coarser = pull(finest);
            levels.push(coarser);
        }
        while let Some(coarse) = levels.pop() {
            match levels.last_mut() {
                Some(fine) => push(fine, &coarse),
                None => {
                    for ((value, filled), &class) in frame.iter_mut().zip(coarse.values).zip(classes) {
                        if class != 0 {
                            *value = R::from_f64(filled);
                        }
                    }
                }
            }
        }
    }
}

/// The next coarser level: averages of 2 × 2 cells by what is known of them.
fn pull(fine: &Level) -> Level {
    let (h, w) = (fine.h.div_ceil(2), fine.w.div_ceil(2));
    let mut coarse = Level { h, w, values: vec![0.0; h * w], weights: vec![0.0; h * w] };
    for y in 0..fine.h {
        for x in 0..fine.w {
            let (from, to) = (y * fine.w + x, y / 2 * w + x / 2);
            coarse.values[to] += fine.weights[from] * fine.values[from];
            coarse.weights[to] += fine.weights[from];
        }
    }
    for (value, weight) in coarse.values.iter_mut().zip(&mut coarse.weights) {
        if *weight > 0.0 {
            *value /= *weight;
            *weight = weight.min(1.0);
        }
    }
    coarse
}

/// Fills what `fine` does not know from `coarse` (bilinear), then smooths the cells of which nothing is known.
fn push(fine: &mut Level, coarse: &Level) {
    // A fine cell's centre lies a quarter of a coarse cell beside the centre of its parent.
    let pair = |i: usize, n: usize| {
        (i / 2, if i.is_multiple_of(2) { (i / 2).saturating_sub(1) } else { (i / 2 + 1).min(n - 1) })
    };
    let mut holes = Vec::new();
    for y in 0..fine.h {
        let (y0, y1) = pair(y, coarse.h);
        for x in 0..fine.w {
            let at = y * fine.w + x;
            let known = fine.weights[at];
            if known >= 1.0 {
                continue;
            }
            let (x0, x1) = pair(x, coarse.w);
            let row = |y: usize| 0.75 * coarse.values[y * coarse.w + x0] + 0.25 * coarse.values[y * coarse.w + x1];
            fine.values[at] = known * fine.values[at] + (1.0 - known) * (0.75 * row(y0) + 0.25 * row(y1));
            if known == 0.0 {
                holes.push((y, x));
            }
        }
    }
    for sweep in 0..SWEEPS {
        let mut relax = |&(y, x): &(usize, usize)| {
            let at = y * fine.w + x;
            let up = if y > 0 { at - fine.w } else { at };
            let down = if y + 1 < fine.h { at + fine.w } else { at };
            let left = if x > 0 { at - 1 } else { at };
            let right = if x + 1 < fine.w { at + 1 } else { at };
            let v = &fine.values;
            fine.values[at] = 0.25 * (v[up] + v[down] + v[left] + v[right]);
        };
        // Alternating directions: information travels along a sweep.
        if sweep % 2 == 0 {
            holes.iter().for_each(&mut relax);
        } else {
            holes.iter().rev().for_each(&mut relax);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::{Decoder, Encoder};
    use proptest::prelude::*;

    fn encode(windows: &[Vec<u8>], h: usize, w: usize, kinds: u8) -> Vec<u8> {
        let mut coder = Encoder::new(Vec::new());
        let mut model = MaskModel::new();
        for window in windows {
            model.code(&mut coder, &mut window.clone(), window.len() / (h * w), h, w, kinds).unwrap();
        }
        coder.finish()
    }

    fn decode(bytes: &[u8], counts: &[usize], h: usize, w: usize, kinds: u8) -> Result<Vec<Vec<u8>>> {
        let mut coder = Decoder::new(bytes);
        let mut model = MaskModel::new();
        counts
            .iter()
            .map(|&count| {
                let mut window = vec![7; count * h * w];
                model.code(&mut coder, &mut window, count, h, w, kinds)?;
                Ok(window)
            })
            .collect()
    }

    /// Smooth islands: where a few waves add up to more than `level`.
    fn islands(h: usize, w: usize, level: f64, shift: f64) -> Vec<u8> {
        (0..h * w)
            .map(|i| {
                let (y, x) = ((i / w) as f64 / h as f64 * 6.0, (i % w) as f64 / w as f64 * 12.0 + shift);
                let v = (x + 2.0 * (y * 1.3).sin()).sin()
                    + (y * 2.1 + (x * 0.7).cos()).cos()
                    + 0.5 * (3.1 * x - 2.3 * y).sin()
                    + 0.3 * (7.7 * x + 5.9 * y).cos();
                u8::from(v > level)
            })
            .collect()
    }

    #[test]
    fn a_static_land_mask_is_paid_once() {
        let (h, w) = (192, 288);
        let land = islands(h, w, 0.5, 0.0);
        let share = land.iter().filter(|&&c| c != 0).count() as f64 / land.len() as f64;
        let first = encode(std::slice::from_ref(&land), h, w, 1).len();
        let all = encode(&vec![land.repeat(8); 12], h, w, 1).len();
        println!("land mask of {share:.2}: first frame {first} bytes, 96 frames {all} bytes");
        assert!(first < 1000, "{first} bytes");
        assert!(all < first + 16, "{all} bytes for 96 frames, {first} for one");
    }

    #[test]
    fn a_moving_mask_costs_little() {
        let (h, w) = (192, 288);
        let frames: Vec<u8> = (0..8).flat_map(|t| islands(h, w, 0.5, 0.01 * f64::from(t))).collect();
        let windows = [frames];
        let bytes = encode(&windows, h, w, 3);
        println!("moving mask: {} bytes for 8 frames", bytes.len());
        assert!(bytes.len() < 3500, "{} bytes", bytes.len());
        assert_eq!(decode(&bytes, &[8], h, w, 3).unwrap(), windows);
    }

    #[test]
    fn no_mask_costs_nothing() {
        assert!(encode(&vec![vec![0; 8 * 64 * 64]; 100], 64, 64, 2).len() < 8);
        assert!(encode(&[vec![0; 64]], 8, 8, 0).len() <= 1);
    }

    #[test]
    fn specials_keep_their_bits() {
        let mut specials = Specials::new();
        let nan = f32::from_bits(0x7fc0_1234);
        let values = [1.0f32, nan, f32::NEG_INFINITY, -0.0, f32::NAN, 1e20];
        assert!(specials.add(1e20f32.to_bits().into()));
        let special = |v: &&f32| !v.is_finite();
        assert!(values.iter().filter(special).all(|v| specials.add(v.to_bits().into())));
        assert_eq!(specials.patterns().len(), 4);
        assert!(specials.bits(0).is_none() && specials.bits(5).is_none() && !specials.is_empty());
        for v in values {
            let bits = u64::from(v.to_bits());
            let class = specials.class_of(bits);
            assert_eq!(class.is_some(), !v.is_finite() || v == 1e20);
            assert_eq!(class.and_then(|class| specials.bits(class)), class.map(|_| bits));
        }
        let mut many = Specials::new();
        assert!((0..15).all(|i| many.add(0x7ff8_0000_0000_0001 + i)));
        assert!(!many.add(0x7ff8_0000_0000_0010));
    }

    #[test]
    fn fills_follow_a_slope() {
        let (h, w) = (40, 56);
        let truth = |i: usize| (i / w) as f64 * 0.5 + (i % w) as f64;
        let classes: Vec<u8> =
            (0..h * w).map(|i| u8::from((i / w).abs_diff(20).pow(2) + (i % w).abs_diff(28).pow(2) < 81)).collect();
        let mut frame: Vec<f64> = (0..h * w).map(|i| if classes[i] == 0 { truth(i) } else { f64::NAN }).collect();
        fill_holes(&mut frame, &classes, 1, h, w);
        let worst = frame.iter().enumerate().map(|(i, v)| (v - truth(i)).abs()).fold(0.0, f64::max);
        println!("slope: worst deviation {worst:.2} of 18 across the hole");
        assert!(worst < 2.5, "{worst}");
    }

    #[test]
    fn frames_without_a_valid_point_become_zero() {
        let mut frames = vec![f32::NAN; 12];
        frames[..6].fill(3.0);
        let classes = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1];
        fill_holes(&mut frames, &classes, 2, 2, 3);
        assert_eq!(frames, [3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    proptest! {
        #[test]
        fn masks_round_trip(
            (h, w) in (1usize..12, 1usize..12), kinds in 1u8..=15, counts in prop::collection::vec(1usize..4, 1..4),
            seed in prop::collection::vec(0u8..=40, 64), still in any::<bool>(),
        ) {
            let mut n = 0;
            let windows: Vec<Vec<u8>> = counts.iter().map(|&count| (0..count * h * w).map(|i| {
                n += usize::from(!still);
                let value = seed[(if still { i % (h * w) } else { n }) * 7 % 64];
                if value > kinds { 0 } else { value }
            }).collect()).collect();
            let bytes = encode(&windows, h, w, kinds);
            prop_assert_eq!(decode(&bytes, &counts, h, w, kinds).unwrap(), windows);
        }

        #[test]
        fn hostile_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200), kinds in 0u8..=15) {
            if let Ok(windows) = decode(&bytes, &[2, 3], 9, 7, kinds) {
                prop_assert!(windows.iter().flatten().all(|&c| c <= kinds));
            }
        }

        #[test]
        fn fills_stay_within_the_valid_range(
            (h, w) in (1usize..20, 1usize..20), values in prop::collection::vec(-1.0f32..1.0, 400),
            holes in prop::collection::vec(0u8..3, 400),
        ) {
            let size = h * w;
            let classes = &holes[..size];
            let mut frame: Vec<f32> = (0..size).map(|i| if classes[i] == 0 { values[i] } else { f32::INFINITY }).collect();
            fill_holes(&mut frame, classes, 1, h, w);
            let valid = (0..size).filter(|&i| classes[i] == 0).map(|i| values[i]);
            let (low, high) = valid.fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
            for i in 0..size {
                if classes[i] == 0 {
                    prop_assert_eq!(frame[i], values[i]);
                } else if low <= high {
                    prop_assert!(frame[i] >= low - 1e-6 && frame[i] <= high + 1e-6);
                } else {
                    prop_assert_eq!(frame[i], 0.0);
                }
            }
        }
    }
}
