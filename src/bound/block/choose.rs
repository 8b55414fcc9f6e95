//! The choice of the step and of the stored vectors, by trial on some of the failing blocks.

use super::coding::Model;
use super::correct::{MAX_VECTORS, Prepared, STEP_BITS, Vectors};
use super::grid::{Block, Grid, POINTS, Window};
use crate::entropy::Cost;

/// Blocks whose coding is tried for each choice, and blocks that the PCA looks at.
const TRIAL_BLOCKS: usize = 64;
const PCA_BLOCKS: usize = 768;
/// Failing blocks below which no vector can pay for itself.
const PCA_LEAST: usize = 32;
/// The step that suits an error spread over a few dozen coefficients: where the search begins.
const FIRST_STEP: u32 = 6;

/// Every `n`-th of the items such that at most `most` are left.
fn spread<T: Copy>(items: &[T], most: usize) -> Vec<T> {
    items.iter().copied().step_by(items.len().div_ceil(most).max(1)).collect()
}

/// Bits of the corrections of some blocks.
struct Trial {
    blocks: Vec<(Block, Prepared)>,
    /// Blocks that each of these stands for.
    scale: f64,
    /// The size of blocks that vectors are for.
    common: [usize; 3],
}

impl Trial {
    fn cost(&self, step: u32, vectors: &Vectors) -> f64 {
        let none = Vectors::default();
        let mut model = Model::new();
        let mut coder = Cost::default();
        for (block, prepared) in &self.blocks {
            let vectors = if block.size == self.common { vectors } else { &none };
            let plan = prepared.plans(block, step, vectors).next();
            // One that has to be stored bit for bit costs the same with any choice.
            if let Some(mut plan) = plan {
                let coded = model.code_plan(&mut coder, block, vectors.len(), &mut plan);
                debug_assert!(coded.is_ok());
            }
        }
        let blocks = coder.bits() * self.scale;
        let mut coder = Cost::default();
        let coded = model.code_vectors(&mut coder, self.common, &mut vectors.clone());
        debug_assert!(coded.is_ok());
        blocks + coder.bits()
    }

    /// Goes from a step that costs `best` downhill, up or down; gives the cheapest step and its cost.
    fn descend(&self, mut step: u32, mut best: f64, vectors: &Vectors) -> (u32, f64) {
        let last = (1 << STEP_BITS) - 1;
        for up in [true, false] {
            let mut moved = false;
            while let Some(next) = if up { (step < last).then_some(step + 1) } else { step.checked_sub(1) } {
                let bits = self.cost(next, vectors);
                if bits >= best {
                    break;
                }
                (step, best, moved) = (next, bits, true);
            }
            if moved {
                break;
            }
        }
        (step, best)
    }
}

/// Finds the step and the vectors to store, by trial on some of the failing blocks.
pub(super) fn choose(grid: &Grid, window: &Window<'_>, decoded: &[f64], failing: &[usize]) -> (u32, Vectors) {
    let common = grid.common();
    let prepare = |&index: &usize| {
        let block = grid.block(index);
        let (energy, error) = grid.error(&block, window, decoded);
        (block, Prepared::new(energy, error, &block))
    };
    let blocks: Vec<(Block, Prepared)> =
        spread(failing, TRIAL_BLOCKS).iter().map(prepare).filter(|(_, p)| p.energy.is_finite()).collect();
    if blocks.is_empty() {
        return (0, Vectors::default());
    }
    let trial = Trial { scale: failing.len() as f64 / blocks.len() as f64, blocks, common };
    let none = Vectors::default();
    let (mut step, mut best) = trial.descend(FIRST_STEP, trial.cost(FIRST_STEP, &none), &none);
    let mut chosen = none;
    let whole: Vec<usize> = failing.iter().copied().filter(|&i| grid.block(i).size == common).collect();
    if whole.len() < PCA_LEAST {
        return (step, chosen);
    }
    let errors: Vec<[f64; POINTS]> = spread(&whole, PCA_BLOCKS)
        .into_iter()
        .map(|i| grid.error(&grid.block(i), window, decoded))
        .filter_map(|(energy, error)| energy.is_finite().then_some(error))
        .collect();
    let most = MAX_VECTORS.min(errors.len()).min(whole.len() / 8);
    let all = Vectors::pca(&errors, most);
    let mut count = 2;
    while count <= all.len() {
        let vectors = all.first(count);
        let (with, bits) = trial.descend(step, trial.cost(step, &vectors), &vectors);
        if bits < best {
            (step, best, chosen) = (with, bits, vectors);
        } else if count >= 8 {
            break;
        }
        count *= 2;
    }
    (step, chosen)
}
