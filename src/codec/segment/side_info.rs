//! The side information of windows: steps, centroids, prediction weights and model flags, coded adaptively.

use crate::entropy::{BitCoder, Counter};
use crate::error::{Error, Result};
use crate::predict::weights::MAX_WEIGHT;
use crate::predict::{CodedWindow, Step};
use crate::residual::layout::Layout;
use crate::residual::quantise::Centroids;
use crate::residual::real::Real;

/// How far back the counters remember.
const LIMIT: u32 = 30;
/// Classes of bands that learn their weights apart.
const BANDS: usize = 8;

/// The adaptive state of a segment's side information.
#[derive(Debug)]
pub(crate) struct SideInfoModel {
    step: Vec<Counter>,
    centroids: Vec<Counter>,
    weights: Vec<Counter>,
    fm: Vec<Counter>,
    last_step: Step,
}

impl SideInfoModel {
    /// Fresh state; the first window's step is coded against `step`.
    pub(crate) fn new(step: Step) -> Self {
        Self {
            step: vec![Counter::default(); 64],
            centroids: vec![Counter::default(); 3 * 64],
            weights: vec![Counter::default(); 2 * BANDS * 2 * 128],
            fm: vec![Counter::default(); 16],
            last_step: step,
        }
    }

    /// Codes a window's side information. When decoding, `coded.count` is known already, `predicted` is how many planes
    /// carry weights and `flags` how many may carry a model flag.
    ///
    /// # Errors
    /// `Corrupt` when decoding values that no encoder writes.
    pub(crate) fn code<C: BitCoder, R: Real>(
        &mut self,
        coder: &mut C,
        layout: &Layout,
        predicted: usize,
        flags: usize,
        coded: &mut CodedWindow<R>,
    ) -> Result<()> {
        let delta = self.signed(coder, i32::from(coded.step.0) - i32::from(self.last_step.0))?;
        let step = i32::from(self.last_step.0) + delta;
        coded.step = Step(i16::try_from(step).map_err(|_| Error::corrupt("a quantiser step is out of range"))?);
        self.last_step = coded.step;
        for k in 0..3 {
            let counters = &mut self.centroids[k * 64..][..64];
            let symbol = tree(coder, (i32::from(coded.centroids.0[k]) + 32) as u32, 6, counters) as i8 - 32;
            if symbol.abs() > Centroids::MAX {
                return Err(Error::corrupt("a centroid is out of range"));
            }
            coded.centroids.0[k] = symbol;
        }
        let bands = layout.bands.len();
        coded.weights.resize(predicted * bands, [0; 2]);
        for (i, slot) in coded.weights.iter_mut().enumerate() {
            let band = &layout.bands[i % bands];
            let class = band.level.min(BANDS - 1);
            let plane = (i / bands).min(1);
            for (k, weight) in slot.iter_mut().enumerate() {
                let counters = &mut self.weights[((k * BANDS + class) * 2 + plane) * 128..][..128];
                let symbol = tree(coder, (i32::from(*weight) + 64) as u32, 7, counters) as i32 - 64;
                if symbol.abs() > i32::from(MAX_WEIGHT) {
                    return Err(Error::corrupt("a prediction weight is out of range"));
                }
                *weight = symbol as i8;
            }
        }
        coded.fm.resize(flags, false);
        let mut last = 0;
        for flag in &mut coded.fm {
            let counter = &mut self.fm[last];
            *flag = coder.bit(*flag, counter.p1());
            counter.update(*flag, LIMIT);
            last = usize::from(*flag);
        }
        Ok(())
    }

    fn signed<C: BitCoder>(&mut self, coder: &mut C, value: i32) -> Result<i32> {
        let zigzag = (value << 1 ^ value >> 31) as u32 + 1;
        let target = 31 - zigzag.leading_zeros();
        let mut exponent = 0;
        loop {
            let counter = &mut self.step[exponent as usize];
            let more = coder.bit(target > exponent, counter.p1());
            counter.update(more, LIMIT);
            if !more {
                break;
            }
            exponent += 1;
            if exponent > 20 {
                return Err(Error::corrupt("a quantiser step is out of range"));
            }
        }
        let value = (1 << exponent | coder.raw(u64::from(zigzag), exponent) as u32) - 1;
        Ok((value >> 1) as i32 ^ -((value & 1) as i32))
    }
}

/// `bits` bits of a symbol, each under the bits before it.
fn tree<C: BitCoder>(coder: &mut C, symbol: u32, bits: u32, counters: &mut [Counter]) -> u32 {
    let mut node = 1;
    for i in (0..bits).rev() {
        let counter = &mut counters[node as usize];
        let bit = coder.bit(symbol >> i & 1 == 1, counter.p1());
        counter.update(bit, LIMIT);
        node = node << 1 | u32::from(bit);
    }
    node - (1 << bits)
}
