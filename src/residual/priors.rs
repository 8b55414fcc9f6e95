//! Trained starting states of the context coder, so that a short stream does not pay for learning what most fields have
//! in common. `priors.bin` belongs to the format: a change of it is a change of version.
//!
//! Layout: for every counter, in the order of [`Trained::tables`], the probability of a 1 in 1/65536 (u16) and the
//! weight of that prior in bits seen (u8); then for every mixer the weights of its sets in 1/65536 (i32).
//! Little-endian. The command that trains them is in docs/design.md.

use super::mixed_bit::INPUTS;
use crate::entropy::{Counter, Mixer};

static BYTES: &[u8] = include_bytes!("priors.bin");

/// Adaptive state that begins with trained priors.
pub(crate) trait Trained: Clone + 'static {
    /// The starting state.
    fn start() -> &'static Self;

    /// All counters, table by table, in the order in which priors are stored.
    fn tables(&mut self) -> Vec<&mut Vec<Counter>>;

    /// All mixers, in the order in which priors are stored.
    fn mixers(&mut self) -> Vec<&mut Mixer<INPUTS>>;
}

/// Fills a model from the stored priors; the rest stays as it is where they are too short (a file of zero bytes, when
/// they are trained anew).
pub(super) fn fill(model: &mut impl Trained) {
    let mut counters = BYTES.chunks_exact(3);
    let mut used = 0;
    for slot in model.tables().into_iter().flatten() {
        let Some(entry) = counters.next() else { return };
        *slot = Counter::new(u16::from_le_bytes([entry[0], entry[1]]), entry[2]);
        used += 3;
    }
    let mut weights = BYTES[used..].chunks_exact(4);
    for slot in model.mixers().into_iter().flat_map(|mixer| mixer.weights_mut()) {
        let Some(entry) = weights.next() else { return };
        *slot = i32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
    }
}

/// Averages the states that models ended with into priors.
#[cfg(test)]
pub(crate) mod training {
    use super::*;

    /// The largest weight of a prior, in bits seen.
    const CONFIDENCE: f64 = 24.0;

    /// Sums over models.
    #[derive(Default)]
    pub(crate) struct Average {
        /// (Σ weight · p, Σ weight, models that saw it).
        counters: Vec<(f64, f64, f64)>,
        weights: Vec<f64>,
        models: f64,
    }

    impl Average {
        /// Adds a model's end state.
        pub(crate) fn add<T: Trained>(&mut self, model: &mut T) {
            let states: Vec<_> = model.tables().into_iter().flatten().map(|c| c.state()).collect();
            let start = T::start().clone().tables().into_iter().flatten().map(|c| c.state()).collect::<Vec<_>>();
            self.counters.resize(states.len(), (0.0, 0.0, 0.0));
            for ((slot, (p, seen)), (_, before)) in self.counters.iter_mut().zip(states).zip(start) {
                let weight = f64::from(seen.saturating_sub(before).min(60));
                slot.0 += weight * f64::from(p);
                slot.1 += weight;
                slot.2 += f64::from(u8::from(weight > 0.0));
            }
            let weights: Vec<_> =
                model.mixers().into_iter().flat_map(|m| m.weights_mut().map(|w| *w).collect::<Vec<_>>()).collect();
            self.weights.resize(weights.len(), 0.0);
            for (slot, weight) in self.weights.iter_mut().zip(weights) {
                *slot += f64::from(weight);
            }
            self.models += 1.0;
        }

        /// The priors' bytes.
        pub(crate) fn bytes(&self) -> Vec<u8> {
            let mut out = Vec::new();
            for &(sum, weight, models) in &self.counters {
                let p = if weight > 0.0 { sum / weight } else { 32768.0 };
                let confidence =
                    if models > 0.0 { (weight / models).min(CONFIDENCE) * (models / (models + 1.0)) } else { 0.0 };
                out.extend_from_slice(&(p.round().clamp(16.0, 65520.0) as u16).to_le_bytes());
                out.push(confidence.round() as u8);
            }
            for &weight in &self.weights {
                out.extend_from_slice(&((weight / self.models).round() as i32).to_le_bytes());
            }
            out
        }
    }
}
