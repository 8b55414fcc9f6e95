//! A bit that several contexts predict: a counter under each of them, and logistic mixing of their probabilities.

use crate::entropy::{BitCoder, Counter, Mixer, probability, stretch};

/// Inputs of every mixer: the most contexts of a bit, and the bias.
pub(super) const INPUTS: usize = 7;
/// The input of the bias: the logistic of a probability of about 0.73.
const BIAS: i32 = 256;
/// Learning rate of the mixers.
const RATE: i32 = 3;

/// Counters of one kind of bit in `N` tables, each indexed by a context of its own, and two mixers of them that pick
/// their weights by different contexts. Counters remember about `LIMIT` bits.
#[derive(Clone, Debug)]
pub(super) struct MixedBit<const N: usize, const LIMIT: u32> {
    pub(super) tables: [Vec<Counter>; N],
    pub(super) mixers: [Mixer<INPUTS>; 2],
}

impl<const N: usize, const LIMIT: u32> MixedBit<N, LIMIT> {
    /// Untrained, with tables of `sizes` counters and mixers of `sets` sets of weights.
    pub(super) fn new(sizes: [usize; N], sets: [usize; 2]) -> Self {
        const { assert!(N < INPUTS) };
        let initial = 65536 * 3 / 10;
        Self { tables: sizes.map(|n| vec![Counter::default(); n]), mixers: sets.map(|n| Mixer::new(n, initial)) }
    }

    /// Codes a bit under the contexts `at` of the tables and `sets` of the mixers; without mixing, under the first
    /// table alone.
    #[inline(always)]
    pub(super) fn code<C: BitCoder, const MIXING: bool>(
        &mut self,
        coder: &mut C,
        bit: bool,
        at: [usize; N],
        sets: [usize; 2],
    ) -> bool {
        if !MIXING {
            let counter = &mut self.tables[0][at[0]];
            let bit = coder.bit(bit, counter.p1());
            counter.update(bit, LIMIT);
            return bit;
        }
        let mut inputs = [0; INPUTS];
        for (input, (table, &at)) in inputs.iter_mut().zip(self.tables.iter().zip(&at)) {
            *input = stretch(table[at].p1());
        }
        inputs[N] = BIAS;
        let [first, second] = &mut self.mixers;
        let p = probability(first.mix(&inputs, sets[0]), second.mix(&inputs, sets[1]));
        let bit = coder.bit(bit, p);
        first.update(&inputs, bit, RATE);
        second.update(&inputs, bit, RATE);
        for (table, &at) in self.tables.iter_mut().zip(&at) {
            table[at].update(bit, LIMIT);
        }
        bit
    }
}
