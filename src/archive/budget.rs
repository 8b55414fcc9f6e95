//! Bounds that refer to the global field: its range by one reduction, and one error budget for all ranks.
//!
//! For `nrmse` and `psnr` all ranks aim at **one quantiser step**, at which bits are cheapest where all coefficients
//! share it: quiet ranks then spend less of the budget than busy ones. Each rank says how its error grows with the
//! step, the sums are reduced, once, and the rank's own bound is its error at the step where the sum meets the budget.

use super::agreement::agree_and_reduce;
use super::communicator::Communicator;
use super::pending::Pending;
use super::progress::{Clock, unpanicked};
use crate::bound::Bound;
use crate::bound::check::psnr_to_nrmse;
use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::options::{Options, Sentinels};

/// Steps at which every rank says its error, over the allowed one. The common step mostly lies within the first, closer
/// ones; the others are for jobs where few ranks have something to spend on.
const STEPS: [f64; 13] = [0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 16.0, 32.0, 128.0, 512.0];
/// Parts into which the way from one of those steps to the next is cut, for the sums over ranks.
const PARTS: usize = 8;
/// Points of a curve that is cut so.
const POINTS: usize = (STEPS.len() - 1) * PARTS + 1;
/// Every rank's share is at least about this of the mean, so that every rank has a bound that can be met.
const LEAST_SHARE: f64 = 1e-6;
/// Below this, budgets are too near the end of f64 to be shared, and each rank keeps to the bound by itself.
const LEAST_BUDGET: f64 = 1e-250;
/// Part of the budget that is left for rounding in the sums.
const SLACK: f64 = 1e-9;

/// The puts of all ranks together, of one variable in one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Global {
    pub(super) bound: Bound,
    /// The range for relative bounds: largest minus smallest valid value, or that of the options.
    pub(super) range: f64,
    /// Valid points.
    pub(super) points: f64,
}

impl Global {
    /// The sum of squared errors that the bound allows, where it allows one. All sums are over the squared range: in
    /// the field's own units squares may not be f64 numbers.
    pub(super) fn budget(&self) -> Option<f64> {
        let nrmse = match self.bound {
            Bound::Nrmse(epsilon) => epsilon,
            Bound::Psnr(decibels) => psnr_to_nrmse(decibels),
            _ => return None,
        };
        let budget = nrmse * nrmse * self.points;
        let known = self.range > 0.0 && self.range.is_finite();
        Some(budget).filter(|budget| known && (LEAST_BUDGET..f64::INFINITY).contains(budget))
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

/// Words of a variable in the reduction of statistics: kind and value of its bound, its largest value, its smallest one
/// negated, its outermost sentinels above and, negated, below all data. 0 where there is none.
const WORDS: usize = 6;

/// The words of all variables, and their numbers of points, reduced over all ranks.
fn reduce(
    comm: &dyn Communicator,
    variables: usize,
    pending: &[Pending],
    sentinels: &Sentinels,
) -> Result<(Vec<u64>, Vec<f64>)> {
    let mut words = vec![0u64; variables * WORDS];
    let mut points = vec![0.0; variables];
    for put in pending {
        let word = &mut words[put.variable * WORDS..][..WORDS];
        let mut offer = |place: usize, value: u64| word[place] = word[place].max(value);
        let [kind, value] = code(&put.bound);
        offer(0, kind);
        offer(1, value);
        let stats = put.stats();
        if stats.valid > 0 {
            offer(2, ordered(stats.max));
            offer(3, ordered(-stats.min));
        }
        let found: &[f64] = if *sentinels == Sentinels::Auto { &stats.sentinels } else { &[] };
        for &sentinel in found {
            let is_below = sentinel < if stats.valid > 0 { stats.min } else { 0.0 };
            if is_below { offer(5, ordered(-sentinel)) } else { offer(4, ordered(sentinel)) }
        }
        points[put.variable] += stats.valid as f64;
    }
    comm.reduce(&mut words, &mut points)?;
    Ok((words, points))
}

/// Tells what of this rank's boxes is data, and reduces bound, range and points of every variable over all ranks; `None`
/// where none put it. A range that is given takes the place of theirs.
///
/// A box may hold nothing but a value that marks points without data, and not show it: what other boxes show, of whatever
/// rank, holds for all of a variable. Only where there is such a value ranks meet once more.
///
/// # Errors
/// `Runtime`. On this rank alone, as the second value: `InvalidArgument` where its bound is not the others'.
pub(super) fn reduce_stats(
    comm: &dyn Communicator,
    names: &[&str],
    pending: &mut [Pending],
    options: &Options,
    clock: &mut Clock,
) -> Result<(Vec<Option<Global>>, Result<()>)> {
    let sentinels = &options.sentinels;
    let mut look = |pending: &mut [Pending], others: &[Vec<f64>]| {
        let one = |put: &mut Pending| put.look(sentinels, others.get(put.variable).map_or(&[][..], |others| others));
        clock.work(|| unpanicked(|| pending.iter_mut().try_for_each(one)))
    };
    let mut agreed = look(pending, &[]);
    let (mut words, mut points) = reduce(comm, names.len(), pending, sentinels)?;
    if words.chunks_exact(WORDS).any(|word| word[4] != 0 || word[5] != 0) {
        let shared = |word: &[u64]| {
            let above = Some(word[4]).filter(|&bits| bits != 0).map(unordered);
            let below = Some(word[5]).filter(|&bits| bits != 0).map(|bits| -unordered(bits));
            above.into_iter().chain(below).collect()
        };
        let others: Vec<Vec<f64>> = words.chunks_exact(WORDS).map(shared).collect();
        agreed = agreed.and(look(pending, &others));
        (words, points) = reduce(comm, names.len(), pending, sentinels)?;
    }

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
        let found = if word[2] == 0 { 0.0 } else { unordered(word[2]) + unordered(word[3]) };
        let range = options.range.unwrap_or(found);
        *global = Some(Global { bound, range, points: points[variable] });
    }
    Ok((globals, agreed))
}

/// The bound of each of this rank's puts. Collective where a variable has a budget; `failure`, an error of this rank
/// that the others do not know of yet, is then told to them.
///
/// # Errors
/// On all ranks alike: those of the codec, `failure`, or `Runtime`.
pub(super) fn allocate_bits(
    comm: &dyn Communicator,
    codec: &Codec,
    globals: &[Option<Global>],
    pending: &[Pending],
    failure: &mut Option<Error>,
    clock: &mut Clock,
) -> Result<Vec<Bound>> {
    let mut bounds: Vec<Bound> = pending.iter().map(|put| put.bound).collect();
    let budgets: Vec<Option<Budget>> = globals.iter().map(|global| Budget::of(global.as_ref()?)).collect();
    if budgets.iter().all(Option::is_none) {
        return Ok(bounds);
    }
    let curves = clock.work(|| {
        let curve = |put: &Pending| match &budgets[put.variable] {
            None => Ok(Vec::new()),
            Some(budget) => Ok(refined(&put.error_curve(codec, budget.range, &budget.steps())?)),
        };
        unpanicked(|| pending.iter().map(curve).collect::<Result<Vec<_>>>())
    });
    let mut sums = vec![0.0; globals.len() * POINTS];
    for (put, curve) in pending.iter().zip(curves.as_ref().map_or(&[][..], |curves| curves)) {
        sums[put.variable * POINTS..].iter_mut().zip(curve).for_each(|(sum, error)| *sum += error);
    }
    let error = failure.take().or_else(|| curves.as_ref().err().cloned());
    clock.wait(comm.rank(), || agree_and_reduce(comm, error.as_ref(), &mut [], &mut sums))?;
    for ((put, curve), bound) in pending.iter().zip(&curves?).zip(&mut bounds) {
        if let Some(budget) = &budgets[put.variable] {
            let common = Common::of(&sums[put.variable * POINTS..][..POINTS], budget.whole);
            let valid = put.stats().valid as f64;
            let nrmse = (budget.share(&common, curve, valid) / valid.max(1.0)).sqrt();
            *bound = Bound::Nrmse(nrmse.max(f64::MIN_POSITIVE));
        }
    }
    Ok(bounds)
}

/// A put's curve with more points: errors grow as a power of the step from each to the next.
fn refined(curve: &[f64]) -> Vec<f64> {
    let between = |pair: &[f64]| {
        let (a, b) = (pair[0], pair[1].max(f64::MIN_POSITIVE));
        let power = move |k: usize| if a > 0.0 { a * (b / a).powf(k as f64 / PARTS as f64) } else { 0.0 };
        (0..PARTS).map(power)
    };
    curve.windows(2).flat_map(between).chain(curve.last().copied()).collect()
}

/// A variable's budget: the sum of squared errors, over the squared range, that its ranks may make together.
#[derive(Clone, Copy, Debug)]
struct Budget {
    whole: f64,
    points: f64,
    range: f64,
}

impl Budget {
    fn of(global: &Global) -> Option<Self> {
        Some(Self { whole: global.budget()?, points: global.points, range: global.range })
    }

    /// The steps, over the range, at which ranks say their errors.
    fn steps(&self) -> Vec<f64> {
        let mean = (self.whole / self.points).sqrt();
        STEPS.iter().map(|factor| factor * mean).collect()
    }

    /// The share of the budget of a put of `valid` points with this curve. The shares of all puts add up to the budget,
    /// since the common step is found on the sum of their curves, and a share is a linear function of a put's curve.
    fn share(&self, common: &Common, curve: &[f64], valid: f64) -> f64 {
        let least = LEAST_SHARE * self.whole;
        let factor = short(self.whole * (1.0 - SLACK) / (common.sum + least));
        (common.error(curve) + least * valid / self.points) * factor
    }
}

/// The common step: a place between two of the steps, alike on all ranks.
#[derive(Clone, Copy, Debug)]
struct Common {
    /// The point below it.
    low: usize,
    /// How far it lies from there to the one above.
    fraction: f64,
    /// The sum of all puts' errors there.
    sum: f64,
}

impl Common {
    /// Where the summed curve meets the budget, taken as straight between its points.
    fn of(curve: &[f64], budget: f64) -> Self {
        let below = curve.iter().take_while(|&&error| error < budget).count();
        let low = below.saturating_sub(1).min(POINTS - 2);
        let fraction = ((budget - curve[low]) / (curve[low + 1] - curve[low])).clamp(0.0, 1.0);
        // Where the curve is level, any place between is as good.
        let fraction = if fraction.is_nan() { 0.5 } else { short(fraction) };
        let mut common = Self { low, fraction, sum: 0.0 };
        common.sum = common.error(curve);
        common
    }

    fn error(&self, curve: &[f64]) -> f64 {
        curve[self.low] + self.fraction * (curve[self.low + 1] - curve[self.low])
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

    /// The errors of a power law at the steps.
    fn power_law(scale: f64, power: f64) -> Vec<f64> {
        STEPS.iter().map(|step| scale * step.powf(power)).collect()
    }

    #[test]
    fn curves_are_refined_along_powers() {
        let fine = refined(&power_law(3.0, 1.7));
        assert_eq!(fine.len(), POINTS);
        for (k, error) in fine.iter().enumerate() {
            let (low, part) = ((k / PARTS).min(STEPS.len() - 2), k as f64 / PARTS as f64);
            let step = STEPS[low] * (STEPS[low + 1] / STEPS[low]).powf(part - low as f64);
            assert!((error / (3.0 * step.powf(1.7)) - 1.0).abs() < 1e-12);
        }
    }

    /// Shares add up to the budget, whatever the curves, and follow them at the common step.
    #[test]
    fn shares_use_the_budget_up() {
        let curves = [(1.0, 1.3), (30.0, 2.0), (0.0, 1.0)].map(|(scale, power)| refined(&power_law(scale, power)));
        let total: Vec<f64> = (0..POINTS).map(|k| curves.iter().map(|curve| curve[k]).sum()).collect();
        // Below all of the summed curve, at one of its points, between two, and above all.
        for whole in [1e-3, total[3], 0.5 * (total[46] + total[47]), 1e12] {
            let budget = Budget { whole, points: 300.0, range: 1.0 };
            let common = Common::of(&total, whole);
            let shares = [0, 1, 2].map(|k| budget.share(&common, &curves[k], 100.0));
            let sum: f64 = shares.iter().sum();
            assert!(sum <= whole && sum >= whole * (1.0 - 1e-6), "{whole}: {sum}");
            assert!(shares.iter().all(|&share| share > 0.0), "{shares:?}");
            if whole > total[POINTS - 1] {
                // All can spend what they like, and the least share is much beside what they can.
                continue;
            }
            let ratio = common.error(&curves[1]) / common.error(&curves[0]);
            assert!((shares[1] / shares[0] / ratio - 1.0).abs() < 1e-3, "{shares:?}");
        }
        // Nothing to go by: alike for all points.
        let level = [0.0; POINTS];
        let budget = Budget { whole: 2.0, points: 300.0, range: 1.0 };
        let share = budget.share(&Common::of(&level, 2.0), &level, 150.0);
        assert!((share - 1.0).abs() < 1e-6, "{share}");
    }
}
