//! Bounds that refer to the global field: its range by one reduction, and one error budget for all ranks.
//!
//! For `nrmse` and `psnr` all ranks aim at **one quantiser step**, at which bits are cheapest where all coefficients share it:
//! quiet ranks then spend less of the budget than busy ones. Each rank says how its error grows with the step, the sums are
//! reduced, and the rank's own bound is its error at the step where the sum meets the budget.

use super::communicator::Communicator;
use super::pending::Pending;
use crate::bound::Bound;
use crate::bound::check::psnr_to_nrmse;
use crate::codec::Codec;
use crate::error::{Error, Result};
use std::time::Instant;

/// Rounds of the search for the common step, and steps in each.
const ROUNDS: usize = 2;
const STEPS: usize = 6;
/// The ratio of neighbouring steps in the first round; the search spans 4^5 from half the allowed error on.
const SPREAD: f64 = 4.0;
/// No rank's share is less than this of the mean, so that every rank has a bound that can be met.
const LEAST_SHARE: f64 = 1e-6;
/// What the sum stays below the budget, for rounding in the sums.
const SLACK: f64 = 1e-9;

/// What all ranks together put of one variable in one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Global {
    pub(super) bound: Bound,
    /// Largest minus smallest valid value.
    pub(super) range: f64,
    /// Valid points.
    pub(super) points: f64,
}

impl Global {
    /// The sum of squared errors that the bound allows, where it allows one.
    pub(super) fn budget(&self) -> Option<f64> {
        let rms = match self.bound {
            Bound::Nrmse(epsilon) => epsilon * self.range,
            Bound::Psnr(decibels) => psnr_to_nrmse(decibels) * self.range,
            _ => return None,
        };
        Some(rms * rms * self.points).filter(|budget| budget.is_finite() && *budget > 0.0)
    }
}

/// A number as bits whose order is that of the numbers.
fn ordered(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// A number cut to 24 bits: sums over ranks differ in their last bits by the order of ranks, and streams must not.
fn short(value: f64) -> f64 {
    f64::from_bits(value.to_bits() & !((1 << 29) - 1))
}

fn unordered(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits })
}

/// The code of a bound: its kind and value, never 0.
fn code(bound: &Bound) -> [u64; 2] {
    let kind = Bound::NAMES.iter().position(|name| *name == bound.name()).expect("every bound has a name");
    [kind as u64 + 1, bound.value().to_bits()]
}

/// For every variable what all ranks together put; `None` where none did.
///
/// # Errors
/// `Runtime`. On this rank alone, as the second value: `InvalidArgument` where its bound is not the others'.
pub(super) fn survey(
    comm: &dyn Communicator,
    names: &[&str],
    pending: &[Pending],
) -> Result<(Vec<Option<Global>>, Result<()>)> {
    const WORDS: usize = 4;
    let mut words = vec![0u64; names.len() * WORDS];
    let mut points = vec![0.0; names.len()];
    for put in pending {
        let word = &mut words[put.variable * WORDS..][..WORDS];
        let [kind, value] = code(&put.bound);
        (word[0], word[1]) = (word[0].max(kind), word[1].max(value));
        if put.stats.valid > 0 {
            word[2] = word[2].max(ordered(put.stats.max));
            word[3] = word[3].max(ordered(-put.stats.min));
        }
        points[put.variable] += put.stats.valid as f64;
    }
    comm.all_max(&mut words)?;
    comm.all_sum(&mut points)?;

    let mut agreed = Ok(());
    let mut globals: Vec<Option<Global>> = vec![None; names.len()];
    for put in pending {
        let word = &words[put.variable * WORDS..][..WORDS];
        if code(&put.bound) != word[..2] {
            agreed = Err(Error::invalid(format!(
                "variable {}: the bound {} is not that of all puts; one bound holds for all ranks and a window",
                names[put.variable], put.bound
            )));
        }
    }
    for (variable, global) in globals.iter_mut().enumerate() {
        let word = &words[variable * WORDS..][..WORDS];
        let Some(name) = (word[0] as usize).checked_sub(1).and_then(|kind| Bound::NAMES.get(kind)) else { continue };
        // Where bounds differ the pair may be of none, and the error is on its way.
        let bound = Bound::from_parts(name, f64::from_bits(word[1])).unwrap_or(Bound::Lossless);
        let range = if word[2] == 0 { 0.0 } else { unordered(word[2]) + unordered(word[3]) };
        *global = Some(Global { bound, range, points: points[variable] });
    }
    Ok((globals, agreed))
}

/// The bound of each of this rank's puts; the time that the curves took is added to `local_seconds`. Collective.
///
/// # Errors
/// `Runtime` where communication fails; as the second value what the codec says, on this rank alone.
pub(super) fn allot(
    comm: &dyn Communicator,
    codec: &Codec,
    globals: &[Option<Global>],
    pending: &[Pending],
    local_seconds: &mut f64,
) -> Result<(Vec<Bound>, Result<()>)> {
    let mut bounds: Vec<Bound> = pending.iter().map(|put| put.bound).collect();
    let budgets: Vec<Option<f64>> = globals.iter().map(|global| global.as_ref().and_then(Global::budget)).collect();
    if budgets.iter().all(Option::is_none) {
        return Ok((bounds, Ok(())));
    }
    let mut failure = Ok(());
    // Where the step of each variable lies: the first of STEPS, and their ratio.
    let mut searches: Vec<Search> = globals
        .iter()
        .zip(&budgets)
        .map(|(global, budget)| {
            let mean = budget.map_or(1.0, |budget| (budget / global.expect("budgets are of fields").points).sqrt());
            Search { first: 0.5 * mean, ratio: SPREAD, step: mean }
        })
        .collect();
    // Each put's curve of the last round.
    let mut curves: Vec<Vec<f64>> = vec![Vec::new(); pending.len()];
    for round in 0..ROUNDS {
        let mut sums = vec![0.0; globals.len() * STEPS];
        let begin = Instant::now();
        for (curve, put) in curves.iter_mut().zip(pending) {
            if budgets[put.variable].is_none() {
                continue;
            }
            let steps = searches[put.variable].steps();
            // A rank that fails goes on with the collectives.
            *curve = put.error_curve(codec, &steps).unwrap_or_else(|error| {
                failure = Err(error);
                vec![0.0; STEPS]
            });
            sums[put.variable * STEPS..].iter_mut().zip(&*curve).for_each(|(sum, error)| *sum += error);
        }
        *local_seconds += begin.elapsed().as_secs_f64();
        comm.all_sum(&mut sums)?;
        for (variable, search) in searches.iter_mut().enumerate() {
            if let Some(budget) = budgets[variable] {
                let curve = &sums[variable * STEPS..][..STEPS];
                if round + 1 < ROUNDS {
                    search.narrow(curve, budget);
                } else {
                    search.settle(curve, budget);
                    search.step = short(search.step);
                }
            }
        }
    }
    // Shares at the common step, made to add up to the budget.
    let mut shares = vec![0.0; pending.len()];
    let mut sums = vec![0.0; globals.len()];
    for (k, put) in pending.iter().enumerate() {
        if let Some(budget) = budgets[put.variable] {
            let global = globals[put.variable].expect("budgets are of fields");
            let mean = budget * put.stats.valid as f64 / global.points;
            shares[k] = searches[put.variable].at_step(&curves[k]).max(mean * LEAST_SHARE);
            sums[put.variable] += shares[k];
        }
    }
    comm.all_sum(&mut sums)?;
    for (k, put) in pending.iter().enumerate() {
        if let Some(budget) = budgets[put.variable] {
            let global = globals[put.variable].expect("budgets are of fields");
            let factor = budget * (1.0 - SLACK) / sums[put.variable].max(f64::MIN_POSITIVE);
            let share = shares[k] * short(factor);
            let rms = (share / (put.stats.valid as f64).max(1.0)).sqrt();
            bounds[k] = Bound::Nrmse((rms / global.range).max(f64::MIN_POSITIVE));
        }
    }
    Ok((bounds, failure))
}

/// The search for a variable's step, alike on all ranks.
#[derive(Clone, Copy, Debug)]
struct Search {
    first: f64,
    ratio: f64,
    step: f64,
}

impl Search {
    fn steps(&self) -> Vec<f64> {
        (0..STEPS).map(|k| self.first * self.ratio.powi(k as i32)).collect()
    }

    /// The interval of two steps between which the summed curve meets the budget, cut into finer steps.
    fn narrow(&mut self, curve: &[f64], budget: f64) {
        let below = curve.iter().take_while(|&&error| error < budget).count();
        let low = below.saturating_sub(1).min(STEPS - 2);
        self.first *= self.ratio.powi(low as i32);
        self.ratio = self.ratio.powf(1.0 / (STEPS - 1) as f64);
    }

    /// The step at which the summed curve, taken as a power law between its points, meets the budget.
    fn settle(&mut self, curve: &[f64], budget: f64) {
        let below = curve.iter().take_while(|&&error| error < budget).count().clamp(1, STEPS - 1);
        let (a, b) = (curve[below - 1].max(f64::MIN_POSITIVE), curve[below].max(f64::MIN_POSITIVE));
        let fraction = ((budget / a).ln() / (b / a).ln()).clamp(-2.0, 3.0);
        let fraction = if fraction.is_finite() { fraction } else { 0.5 };
        self.step = self.first * self.ratio.powf(below as f64 - 1.0 + fraction);
    }

    /// A put's error at the common step, from its own curve.
    fn at_step(&self, curve: &[f64]) -> f64 {
        let place = ((self.step / self.first).ln() / self.ratio.ln()).clamp(0.0, (STEPS - 1) as f64);
        let low = (place as usize).min(STEPS - 2);
        let (a, b) = (curve[low].max(f64::MIN_POSITIVE), curve[low + 1].max(f64::MIN_POSITIVE));
        a * (b / a).powf(place - low as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_order_as_bits() {
        let values = [f64::NEG_INFINITY, -3.5, -1e-300, -0.0, 0.0, 1e-300, 2.0, f64::MAX];
        for pair in values.windows(2) {
            assert!(ordered(pair[0]) < ordered(pair[1]), "{pair:?}");
        }
        assert!(values.iter().all(|&value| unordered(ordered(value)).to_bits() == value.to_bits()));
    }

    #[test]
    fn the_search_finds_the_step_of_a_power_law() {
        for budget in [1e-3, 1.0, 3e4] {
            let mut search = Search { first: 0.5, ratio: SPREAD, step: 1.0 };
            let curve = |search: &Search| search.steps().iter().map(|step| 2.0 * step.powf(1.3)).collect::<Vec<_>>();
            search.narrow(&curve(&search), budget);
            let last = curve(&search);
            search.settle(&last, budget);
            let wanted = (budget / 2.0f64).powf(1.0 / 1.3);
            if (0.5..512.0).contains(&wanted) {
                assert!((search.step / wanted - 1.0).abs() < 1e-9, "{} {wanted}", search.step);
                assert!((search.at_step(&last) / budget - 1.0).abs() < 1e-9);
            }
        }
    }
}
