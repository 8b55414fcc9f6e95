//! Adaptive models of bits: counters, and the logistic mixing of several (Mahoney 2005, as in PAQ), in integers.

use std::sync::LazyLock;

/// Fractional bits of the logistic domain.
const FRACTION: i32 = 8;
/// The logistic domain reaches ±LIMIT / 2^FRACTION.
const LIMIT: i32 = 2815;

/// Steps of the logistic domain.
const STEPS: usize = 2 * LIMIT as usize + 1;

/// The logistic function and its inverse as tables. Software floats: the same on every machine.
struct Logistic {
    /// ln(p / (1 − p)) for p = (i + 1/2) / 4096.
    stretch: [i16; 4096],
    /// 65536 / (1 + e^−x) over the logistic domain.
    squash: [u16; STEPS],
}

static LOGISTIC: LazyLock<Box<Logistic>> = LazyLock::new(|| {
    let scale = f64::from(1 << FRACTION);
    Box::new(Logistic {
        stretch: std::array::from_fn(|i| {
            let p = (i as f64 + 0.5) / 4096.0;
            libm::round(libm::log(p / (1.0 - p)) * scale) as i16
        }),
        squash: std::array::from_fn(|i| {
            let x = (i as i32 - LIMIT) as f64;
            libm::round(65536.0 / (1.0 + libm::exp(-x / scale))).clamp(1.0, 65535.0) as u16
        }),
    })
});

/// 65536 / (n + 1.5): the step of a counter after n bits.
static RATE: [u32; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        table[n] = (2 * 65536 / (2 * n + 3)) as u32;
        n += 1;
    }
    table
};

/// The logistic of a probability given in 1/65536.
#[inline(always)]
pub(crate) fn stretch(p1: u32) -> i32 {
    i32::from(LOGISTIC.stretch[(p1 >> 4) as usize & 4095])
}

#[inline(always)]
fn squash(x: i32) -> u32 {
    u32::from(LOGISTIC.squash[(x.clamp(-LIMIT, LIMIT) + LIMIT) as usize])
}

/// An adaptive probability: 22 bits of it, and how many bits it has seen (8 bits), which sets its rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counter(u32);

impl Default for Counter {
    fn default() -> Self {
        Self(1 << 31)
    }
}

impl Counter {
    /// A counter that starts at `p1 / 65536` with the weight of `seen` bits.
    pub(crate) const fn new(p1: u16, seen: u8) -> Self {
        Self((p1 as u32) << 16 | seen as u32)
    }

    #[cfg(test)]
    /// Its state as (p1, seen), the inverse of [`Counter::new`] up to rounding.
    pub(crate) fn state(self) -> (u16, u8) {
        ((self.0 >> 16) as u16, (self.0 & 0xff) as u8)
    }

    /// Probability of a 1 in 1/65536, within 16..=65520.
    #[inline(always)]
    pub(crate) fn p1(self) -> u32 {
        (self.0 >> 16).clamp(16, 65520)
    }

    /// Learns a bit; the rate falls to 1 / (`limit` + 1.5).
    #[inline(always)]
    pub(crate) fn update(&mut self, bit: bool, limit: u32) {
        let seen = self.0 & 0xff;
        let p = (self.0 >> 10) as i32; // 22 bits
        let target = if bit { (1 << 22) - 1 } else { 0 };
        let step = ((i64::from(target - p) * i64::from(RATE[seen as usize])) >> 16) as i32;
        let p = (p + step) as u32;
        self.0 = p << 10 | (seen + u32::from(seen < limit));
    }
}

/// The most inputs of a mixer: those that a vector register holds.
const LANES: usize = 8;
/// Weights lie within ±WEIGHT_LIMIT / 65536, so that products of inputs and weights fit 32 bits.
const WEIGHT_LIMIT: i32 = 1 << 18;
/// Bits that products lose before they are summed.
const PRODUCT_SHIFT: u32 = 4;

/// Sets of weights over `N` inputs, one of which is picked by a small context. Inputs lie in the logistic domain.
#[derive(Clone, Debug)]
pub(crate) struct Mixer<const N: usize> {
    weights: Vec<[i32; LANES]>,
    set: usize,
    output: u32,
}

#[inline(always)]
fn padded<const N: usize>(inputs: &[i32; N]) -> [i32; LANES] {
    std::array::from_fn(|k| if k < N { inputs[k] } else { 0 })
}

impl<const N: usize> Mixer<N> {
    /// `sets` sets, all weights `initial / 65536`.
    pub(crate) fn new(sets: usize, initial: i32) -> Self {
        const { assert!(N <= LANES) };
        Self { weights: vec![padded(&[initial; N]); sets], set: 0, output: 1 << 15 }
    }

    /// All weights, set by set, in 1/65536.
    pub(crate) fn weights_mut(&mut self) -> impl Iterator<Item = &mut i32> {
        self.weights.iter_mut().flat_map(|set| &mut set[..N])
    }

    /// The mixed logistic under weight set `set`.
    #[inline(always)]
    pub(crate) fn mix(&mut self, inputs: &[i32; N], set: usize) -> i32 {
        self.set = set;
        let (inputs, weights) = (padded(inputs), &self.weights[set]);
        let products: [i32; LANES] = std::array::from_fn(|k| (weights[k] * inputs[k]) >> PRODUCT_SHIFT);
        let x = (products.iter().sum::<i32>() >> (16 - PRODUCT_SHIFT)).clamp(-LIMIT, LIMIT);
        self.output = squash(x);
        x
    }

    /// Learns a bit: a gradient step on its coding cost.
    #[inline(always)]
    pub(crate) fn update(&mut self, inputs: &[i32; N], bit: bool, rate: i32) {
        let error = (i32::from(bit) << 16) - self.output as i32;
        let error = (error * rate) >> 4;
        let inputs = padded(inputs);
        for (w, x) in self.weights[self.set].iter_mut().zip(inputs) {
            *w = (*w + ((x * error + (1 << 15)) >> 16)).clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT);
        }
    }
}

/// The average of two mixed logistics as a probability in 1/65536, within 16..=65520.
#[inline(always)]
pub(crate) fn probability(a: i32, b: i32) -> u32 {
    squash((a + b) >> 1).clamp(16, 65520)
}
