//! Masks: the points that come back bit for bit (NaN, ±Inf, the fill value), and the values that the transforms see
//! there.
//!
//! In: a window's values. Out: a class per point (0: an ordinary value; k: the k-th special bit pattern), its code, and
//! the window with its holes filled smoothly. Masks that do not change cost next to nothing.

mod holes;
mod specials;
#[cfg(test)]
mod tests;

pub(crate) use holes::fill_holes;
pub(crate) use specials::{FEW_SPECIALS, Specials};

use crate::entropy::{BitCoder, Counter, Mixer, probability, stretch};
use crate::error::{Error, Result};

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
    /// Under the class nearby; empty before the first class.
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
            class: Vec::new(),
            last_any: false,
            last_same: false,
        }
    }

    /// Codes the classes of a window, `[count][h][w]`, or when decoding fills them in. `kinds`: the number of the
    /// field's special patterns, which classes do not exceed.
    ///
    /// # Errors
    /// `Corrupt` when decoding a class that is larger; `Internal` where the sizes contradict each other.
    pub(crate) fn code<C: BitCoder>(
        &mut self,
        coder: &mut C,
        classes: &mut [u8],
        [count, h, w]: [usize; 3],
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
        for frame in classes.chunks_exact_mut(size.max(1)) {
            self.code_frame(coder, frame, Padding { h, w, stride }, kinds)?;
        }
        Ok(())
    }

    /// Codes one frame's classes, and keeps it as the last one.
    fn code_frame<C: BitCoder>(&mut self, coder: &mut C, frame: &mut [u8], padding: Padding, kinds: u8) -> Result<()> {
        let Padding { h, w, stride } = padding;
        let known = !self.last.is_empty();
        if known {
            let last = &self.last;
            let same = C::ENCODES && (0..h).all(|y| frame[y * w..][..w] == last[padding.row(y)..][..w]);
            let same = code_bit(coder, same, &mut self.same[usize::from(self.last_same)]);
            self.last_same = same;
            if same {
                for y in 0..h {
                    frame[y * w..][..w].copy_from_slice(&last[padding.row(y)..][..w]);
                }
                return Ok(());
            }
        }
        let last = if known { std::mem::take(&mut self.last) } else { vec![0; padding.len()] };
        let mut own = vec![0u8; padding.len()];
        let mut above_empty = true;
        for y in 0..h {
            let at = padding.row(y);
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
                let around = Around::new(&own, &last, at + x, stride, known);
                let class = self.code_point(coder, *slot, &around, kinds)?;
                *slot = class;
                own[at + x] = class;
            }
        }
        self.last = own;
        Ok(())
    }

    /// Codes one point's class.
    #[inline(always)]
    fn code_point<C: BitCoder>(&mut self, coder: &mut C, class: u8, around: &Around, kinds: u8) -> Result<u8> {
        let mut inputs = [BIAS; INPUTS];
        for ((input, table), &context) in inputs.iter_mut().zip(&self.points).zip(&around.contexts) {
            *input = stretch(table[context].p1());
        }
        let mixed = self.mixer.mix(&inputs, around.set);
        let special = coder.bit(class != 0, probability(mixed, mixed));
        self.mixer.update(&inputs, special, RATE);
        for (table, &context) in self.points.iter_mut().zip(&around.contexts) {
            table[context].update(special, LIMIT);
        }
        if !special {
            return Ok(0);
        }
        if kinds == 1 {
            return Ok(1);
        }
        let likely = around.classes.into_iter().find(|&c| c != 0).unwrap_or(0);
        let bits = if usize::from(kinds) > FEW_SPECIALS { 8 } else { 4 };
        let classes = 1usize << bits;
        if self.class.is_empty() {
            self.class.resize(classes * classes, Counter::default());
        }
        let counters = &mut self.class[usize::from(likely) * classes..][..classes];
        let mut node = 1usize;
        for i in (0..bits).rev() {
            let bit = code_bit(coder, class >> i & 1 == 1, &mut counters[node]);
            node = node << 1 | usize::from(bit);
        }
        let class = (node - classes) as u8;
        if class == 0 || class > kinds {
            return Err(Error::corrupt("a mask holds a class that the field does not have"));
        }
        Ok(class)
    }
}

/// The place of a frame of `[h][w]` in a padded one.
#[derive(Clone, Copy)]
struct Padding {
    h: usize,
    w: usize,
    /// Elements of a padded row.
    stride: usize,
}

impl Padding {
    /// The place of the first point of row `y`.
    fn row(self, y: usize) -> usize {
        (y + ABOVE) * self.stride + BESIDE
    }

    fn len(self) -> usize {
        (self.h + ABOVE + BELOW) * self.stride
    }
}

/// The contexts of a point.
struct Around {
    /// Of the three tables of counters.
    contexts: [usize; 3],
    /// Of the mixer.
    set: usize,
    /// Classes nearby, the likeliest first.
    classes: [u8; 5],
}

impl Around {
    /// Of the point at `at` in padded frames; `own` holds the points of this frame before it, `last` the frame before,
    /// which may not be known.
    #[inline(always)]
    fn new(own: &[u8], last: &[u8], at: usize, stride: usize, known: bool) -> Self {
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
        Self {
            contexts: [
                known << BITS[0] | ahead << 4 | near,
                known << BITS[1] | here << 10 | wide << 4 | near,
                known << BITS[2] | around << 7 | ahead << 4 | near,
            ],
            set: known << 4 | here << 3 | (near & 3) << 1 | near >> 3,
            classes: [last[at], own[at - 1], own[up], own[up - 1], own[up + 1]],
        }
    }
}

/// The starting counter of the small context: its neighbours' weighted vote.
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
