//! The account of a field of many segments: which of them are coded next, at which step, so that their squared errors
//! come to the budget and do not exceed it.
//!
//! Bits are cheapest where all segments share one step, so each is coded near that; what errors turn out to be over what
//! was expected moves the step of those still to come a little. One of the segments with much error comes last and
//! settles the account. Where it alone could not, those with the most error are coded again, as many as it takes.

/// Segments whose errors are known before the next ones' step is set: so many, and one in so many of all.
const BATCH: usize = 16;
const BATCHES: usize = 32;
/// What is expected of errors weighs as much as this share of the field's, against those that are known; and one that is
/// more than so many times what was expected says nothing of the others.
const PRIOR: f64 = 1.0 / 16.0;
const CREDIBLE: f64 = 4.0;
/// How far, as a factor, a step may lie from the one that all would share.
const FINER: f64 = 0.87;
const COARSER: f64 = 1.15;
/// The same of segments that are coded again, so that they are not coded again for little.
const FINER_AGAIN: f64 = 0.94;
const COARSER_AGAIN: f64 = 1.07;
/// How far, as a factor, steps are moved at once.
const FARTHEST: f64 = 16.0;
/// Rounds of segments coded again, at most: because the budget is exceeded, or because much of it is unused.
const ROUNDS: usize = 8;
const ROUNDS_COARSER: usize = 1;
/// The share of the budget that may be left unused.
const SLACK: f64 = 0.006;
/// A segment may settle the account that is expected to have at least this share of the largest error of any.
const SETTLES: f64 = 0.5;
/// Powers that errors grow with are told apart so finely, up to the largest one.
const POWERS: usize = 18;
const POWER: f64 = 0.125;
/// Logarithms of two steps that are as far apart tell the power that errors grow with, which may be so many times the one
/// expected.
const TELLING: f64 = 0.05;
const STEEPER: f64 = 2.0;
/// Logarithms of steps that are nearer to each other are the same.
const SAME: f64 = 2e-3;
/// Halvings of the interval in which a step is searched.
const HALVINGS: usize = 24;

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Next {
    /// Code these segments at a step, those that were coded before again.
    Code { segments: Vec<usize>, step: f64 },
    /// Code a segment so that its error comes to what is left.
    Settle(Settlement),
    /// The budget is met.
    Done,
    /// It cannot be met.
    Unreachable,
}

/// How a segment is to settle the account.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Settlement {
    pub(crate) segment: usize,
    /// About the step that it is coded at, and what it is expected to come to there, as the others tell.
    pub(crate) step: f64,
    pub(crate) expected: f64,
    /// What is left of the budget.
    pub(crate) left: f64,
}

/// What is known of the errors of segments before they are coded, squared, in working units.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    /// The common step.
    pub(crate) step: f64,
    /// What each segment comes to at that step, and the power of the step that it grows with near that.
    pub(crate) segments: Vec<Growth>,
}

/// An error at the common step, and the power of the step that it grows with near that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    pub(crate) error: f64,
    pub(crate) power: f64,
}

impl Growth {
    /// Of an error that was seen at a factor on the common step.
    fn seen(error: f64, factor: f64, power: f64) -> Self {
        Self { error: error / factor.powf(power), power }
    }

    fn at(self, factor: f64) -> f64 {
        self.error * factor.powf(self.power)
    }
}

/// A sum of errors that grow with different powers.
#[derive(Clone, Copy, Debug, Default)]
struct Sum([f64; POWERS]);

impl Sum {
    fn add(&mut self, growth: Growth) {
        let power = (growth.power / POWER).round().clamp(0.0, POWERS as f64 - 1.0);
        self.0[power as usize] += growth.error;
    }

    fn at(&self, factor: f64) -> f64 {
        let step = factor.powf(POWER);
        self.0.iter().rev().fold(0.0, |sum, error| sum * step + error)
    }

    /// The factor on the common step at which the sum comes to what is wanted, as near as may be.
    fn factor(&self, wanted: f64) -> f64 {
        let (mut low, mut high) = (-FARTHEST.ln(), FARTHEST.ln());
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            *if self.at(middle.exp()) <= wanted { &mut low } else { &mut high } = middle;
        }
        (0.5 * (low + high)).exp()
    }
}

impl FromIterator<Growth> for Sum {
    fn from_iter<I: IntoIterator<Item = Growth>>(growths: I) -> Self {
        let mut sum = Self::default();
        growths.into_iter().for_each(|growth| sum.add(growth));
        sum
    }
}

/// A segment that was coded.
#[derive(Clone, Copy, Debug)]
struct Spent {
    step: f64,
    error: f64,
}

/// See the module's description. Errors are squared, in working units.
#[derive(Debug)]
pub(crate) struct Account {
    budget: f64,
    expected: Expected,
    /// Powers that errors grew with, and those expected, over segments coded at two steps.
    powers: [f64; 2],
    spent: Vec<Option<Spent>>,
    /// The segment that comes last, and what it came to where no step brought it to what was left.
    settler: usize,
    least: f64,
    /// Segments before this have been coded.
    next: usize,
    /// Rounds of segments coded again.
    rounds: usize,
    rounds_coarser: usize,
    /// Whether the settler has changed since much of the budget was unused.
    relieved: bool,
}

impl Account {
    /// Of segments of which none is coded yet; `probes` are those that may settle the account.
    pub(crate) fn new(budget: f64, expected: Expected, probes: &[usize]) -> Self {
        let error = |segment: usize| expected.segments[segment].error;
        let largest = probes.iter().map(|&probe| error(probe)).fold(0.0, f64::max);
        let settler = probes.iter().rev().find(|&&probe| error(probe) >= SETTLES * largest);
        let settler = settler.copied().unwrap_or(expected.segments.len() - 1);
        let spent = vec![None; expected.segments.len()];
        let powers = [0.0; 2];
        Self {
            budget,
            expected,
            powers,
            spent,
            settler,
            least: 0.0,
            next: 0,
            rounds: 0,
            rounds_coarser: 0,
            relieved: false,
        }
    }

    /// Takes in what a segment came to, coded at a step.
    pub(crate) fn note(&mut self, segment: usize, step: f64, error: f64) {
        let before = self.spent[segment].replace(Spent { step, error });
        if let Some(before) = before.filter(|before| (step / before.step).ln().abs() > TELLING) {
            let power = (error / before.error).ln() / (step / before.step).ln();
            if power.is_finite() {
                let expected = &mut self.expected.segments[segment].power;
                let power = power.clamp(0.0, POWERS as f64 * POWER);
                self.powers = [self.powers[0] + power, self.powers[1] + *expected];
                *expected = power;
            }
        }
    }

    /// The power that errors grow with over the one expected, as segments tell that were coded at two steps.
    fn steeper(&self) -> f64 {
        let [seen, expected] = self.powers;
        if expected > 0.0 { (seen / expected).clamp(1.0 / STEEPER, STEEPER) } else { 1.0 }
    }

    /// The budget is another.
    pub(crate) fn revise(&mut self, budget: f64) {
        self.budget = budget;
    }

    /// Segments that were coded, but for the settler.
    fn others(&self) -> impl Iterator<Item = (usize, Spent)> {
        let known = self.spent.iter().enumerate().filter(|(segment, _)| *segment != self.settler);
        known.filter_map(|(segment, spent)| spent.map(|spent| (segment, spent)))
    }

    /// The budget less what the others have spent of it.
    fn left(&self) -> f64 {
        self.budget - self.others().map(|(_, spent)| spent.error).sum::<f64>()
    }

    /// Errors over those expected, as far as they are known.
    fn over_expected(&self) -> f64 {
        let prior = PRIOR * self.expected.segments.iter().map(|segment| segment.error).sum::<f64>();
        let (mut spent, mut expected) = (prior, prior);
        for (segment, known) in self.others() {
            let wanted = self.expected.segments[segment].at(known.step / self.expected.step);
            spent += known.error.min(CREDIBLE * wanted);
            expected += wanted;
        }
        if expected > 0.0 { spent / expected } else { 1.0 }
    }

    /// What segments that are not coded come to.
    fn ahead(&self) -> Sum {
        let (over, steeper) = (self.over_expected(), self.steeper());
        let ahead = self.expected.segments.iter().zip(&self.spent).filter(|(_, spent)| spent.is_none());
        let grown = |growth: &Growth| Growth { error: growth.error * over, power: growth.power * steeper };
        let mut sum: Sum = ahead.map(|(growth, _)| grown(growth)).collect();
        // What the settler came to at any step is a constant.
        sum.0[0] += self.least;
        sum
    }

    /// What a segment that was coded comes to at the common step.
    fn seen(&self, segment: usize, spent: Spent) -> Growth {
        Growth::seen(spent.error, spent.step / self.expected.step, self.expected.segments[segment].power)
    }

    /// What to do next.
    pub(crate) fn next(&mut self) -> Next {
        if let Some(batch) = self.batch() {
            return batch;
        }
        let left = self.left();
        let failed = match self.spent[self.settler].take() {
            Some(settled) if settled.error <= left => {
                self.spent[self.settler] = Some(settled);
                return Next::Done;
            }
            Some(settled) => {
                self.least = settled.error;
                true
            }
            None => false,
        };
        if self.spent.len() == 1 {
            return if failed { Next::Unreachable } else { self.settle(1.0, self.ahead(), left) };
        }
        let own = self.ahead();
        let mut all = own;
        self.others().for_each(|(segment, spent)| all.add(self.seen(segment, spent)));
        let (factor, common) = (own.factor(left), all.factor(self.budget));
        let too_fine = failed || left <= 0.0 || factor < FINER * common;
        let unused = left - own.at(COARSER * common);
        let coarser = !too_fine && unused > SLACK * self.budget && self.rounds_coarser < ROUNDS_COARSER;
        if !too_fine && !coarser {
            return self.settle(factor.min(COARSER * common), own, left);
        }
        if self.rounds == ROUNDS {
            return Next::Unreachable;
        }
        self.rounds += 1;
        // Another settler is no use of what is left by itself, so it is no coarser round, but the last change of it.
        if !self.relieved
            && let Some(relieved) = self.relieve(own.at(common), common)
        {
            self.relieved |= coarser;
            return Next::Code { segments: vec![relieved], step: self.expected.step * common };
        }
        self.rounds_coarser += usize::from(coarser);
        self.again(left, own, common)
    }

    /// Has a segment that turned out to have much more error than the settler take its place; gives the one before, which
    /// is still to be coded.
    fn relieve(&mut self, own: f64, common: f64) -> Option<usize> {
        let others = self.others().map(|(segment, spent)| (segment, self.seen(segment, spent)));
        let (largest, growth) = others.max_by(|(_, a), (_, b)| a.at(common).total_cmp(&b.at(common)))?;
        if growth.at(common) * SETTLES < own || self.least > 0.0 {
            return None;
        }
        self.expected.segments[largest] = growth;
        self.spent[largest] = None;
        Some(std::mem::replace(&mut self.settler, largest))
    }

    fn settle(&self, factor: f64, own: Sum, left: f64) -> Next {
        let (segment, step) = (self.settler, self.expected.step * factor);
        Next::Settle(Settlement { segment, step, expected: own.at(factor), left })
    }

    /// The next segments that have not been coded yet, but for the settler.
    fn batch(&mut self) -> Option<Next> {
        let count = self.spent.len();
        let until = (self.next + BATCH.max(count / BATCHES)).min(count);
        let segments: Vec<usize> = (self.next..until).filter(|&segment| segment != self.settler).collect();
        self.next = until;
        if segments.is_empty() {
            return None;
        }
        let factor = self.ahead().factor(self.left()).clamp(FINER, COARSER);
        let factor = if factor.ln().abs() < SAME { 1.0 } else { factor };
        Some(Next::Code { segments, step: self.expected.step * factor })
    }

    /// Codes again as few as will do of the segments that were coded, those with the most error first, at the step at
    /// which they and the settler share what they spent and what is left: one that is not far from that which all would
    /// share.
    fn again(&self, left: f64, own: Sum, common: f64) -> Next {
        let mut others: Vec<(usize, Spent)> = self.others().collect();
        others.sort_by(|(i, a), (j, b)| b.error.total_cmp(&a.error).then(i.cmp(j)));
        let (mut left, mut sum) = (left, own);
        let mut segments = Vec::new();
        // The factor is looked at each time that so much has been added.
        let mut look = 1;
        for (segment, spent) in others {
            left += spent.error;
            sum.add(self.seen(segment, spent));
            segments.push(segment);
            if segments.len() == look {
                let factor = sum.factor(left);
                if left > 0.0 && (FINER_AGAIN * common..=COARSER_AGAIN * common).contains(&factor) {
                    break;
                }
                look += look.div_ceil(8);
            }
        }
        segments.sort_unstable();
        Next::Code { segments, step: self.expected.step * sum.factor(left) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A coder of segments whose errors at a step of 1 are known: a power of the step, times what forecasts did not say.
    struct Coder {
        errors: Vec<f64>,
        power: f64,
        /// The largest share of its natural error that a settler comes to, and the least error that any can have.
        authority: f64,
        floor: f64,
    }

    /// What a field came to.
    #[derive(Debug)]
    struct Outcome {
        met: bool,
        /// The share of the budget that was used.
        used: f64,
        /// Segments coded, over their number.
        coded: f64,
        /// Bits beyond those at one step that uses the budget up: the steps' octaves, by the segments' errors.
        bits: f64,
    }

    impl Coder {
        fn of(errors: Vec<f64>) -> Self {
            Self { errors, power: 1.6, authority: 1.5, floor: 0.0 }
        }

        fn error(&self, segment: usize, step: f64) -> f64 {
            (self.errors[segment] * step.powf(self.power)).max(self.floor)
        }

        /// Codes all segments under a budget that a step of 1 is expected to meet, forecasts being off by factors.
        fn run(&self, budget: f64, off: &[f64]) -> Outcome {
            let off = self.errors.iter().zip(off.iter().cycle()).map(|(error, off)| error * off);
            let segments = off.map(|error| Growth { error, power: self.power }).collect();
            let expected = Expected { step: 1.0, segments };
            let probes: Vec<usize> = (1..=8).map(|k| (k * self.errors.len()).div_ceil(8) - 1).collect();
            let mut account = Account::new(budget, expected, &probes);
            let mut known = vec![(0.0, 0.0); self.errors.len()];
            let mut coded = 0;
            let met = loop {
                match account.next() {
                    Next::Code { segments, step } => {
                        for segment in segments {
                            known[segment] = (step, self.error(segment, step));
                            account.note(segment, step, known[segment].1);
                            coded += 1;
                        }
                    }
                    Next::Settle(Settlement { segment, step, left, .. }) => {
                        let natural = self.error(segment, step);
                        let error = (0.998 * left).min(natural * self.authority).max(self.floor);
                        known[segment] = ((error / self.errors[segment]).powf(1.0 / self.power), error);
                        account.note(segment, step, error);
                        coded += 1;
                    }
                    Next::Done => break true,
                    Next::Unreachable => break false,
                }
            };
            let used = known.iter().map(|(_, error)| error).sum::<f64>() / budget;
            let bits = known.iter().zip(&self.errors).map(|((step, _), error)| -step.log2() * error).sum::<f64>();
            let all = self.errors.iter().sum::<f64>();
            let bits = bits / all + (budget / all).log2() / self.power;
            Outcome { met, used, coded: coded as f64 / self.errors.len() as f64, bits }
        }
    }

    /// Errors of `count` segments that follow a profile.
    fn profile(kind: usize, count: usize) -> Vec<f64> {
        let place = |k: usize| k as f64 / count as f64;
        let error = |k: usize| match kind {
            0 => 1.0,
            1 => (12.0 * place(k)).exp(),
            2 => 1e-6 + (-((place(k) - 0.4) * 30.0).powi(2)).exp(),
            3 => 1.001 + (place(k) * 40.0).sin(),
            4 => f64::from(u8::from(k >= count / 2)) + 1e-8,
            _ => {
                if k == count / 3 {
                    count as f64 * 3.0
                } else {
                    1.0
                }
            }
        };
        (0..count).map(error).collect()
    }

    proptest! {
        /// Whatever the profile and what forecasts are off by, the budget is met and used, and little is coded again.
        #[test]
        fn the_budget_is_met_and_used(
            kind in 0usize..6,
            count in 1usize..300,
            off in prop::collection::vec(0.85f64..1.15, 7),
            bias in 0.9f64..1.1,
            reversed in any::<bool>(),
        ) {
            let mut errors = profile(kind, count);
            if reversed {
                errors.reverse();
            }
            let off: Vec<f64> = off.iter().map(|off| off * bias).collect();
            let budget = errors.iter().zip(off.iter().cycle()).map(|(error, off)| error * off).sum();
            let outcome = Coder::of(errors).run(budget, &off);
            prop_assert!(outcome.met && outcome.used <= 1.0 && outcome.used > 0.985, "{outcome:?}");
            prop_assert!(outcome.coded <= 2.0 && outcome.bits < 0.12, "{outcome:?}");
        }

        /// The order of segments changes next to nothing.
        #[test]
        fn orders_are_alike(kind in 0usize..6, count in 2usize..300, bias in 0.9f64..1.1) {
            let mut errors = profile(kind, count);
            let budget = bias * errors.iter().sum::<f64>();
            let one = Coder::of(errors.clone()).run(budget, &[bias]);
            errors.reverse();
            let other = Coder::of(errors).run(budget, &[bias]);
            prop_assert!(one.met && other.met && (one.bits - other.bits).abs() < 0.1, "{one:?} {other:?}");
        }
    }

    #[test]
    fn even_segments_are_coded_once() {
        for count in [1, 2, 9, 100, 1000] {
            let outcome = Coder::of(vec![1.0; count]).run(count as f64, &[1.0]);
            assert!(outcome.met && outcome.coded == 1.0 && outcome.bits.abs() < 0.01, "{outcome:?}");
        }
    }

    #[test]
    fn what_was_not_expected_is_coded_again() {
        // A burst of which the survey saw nothing, in a field of a hundred segments.
        let mut errors = vec![1.0; 100];
        errors[20] = 40.0;
        let mut off = vec![1.0; 100];
        off[20] = 1e-3;
        let outcome = Coder::of(errors).run(100.0, &off);
        assert!(outcome.met && outcome.used > 0.985 && outcome.coded < 2.0, "{outcome:?}");
    }

    #[test]
    fn errors_that_no_step_makes_smaller_end_it() {
        let coder = Coder { floor: 1.1, ..Coder::of(vec![1.0; 40]) };
        assert!(!coder.run(40.0, &[1.0]).met);
        // One segment's floor is above its share, and the others make room.
        let coder = Coder { authority: 0.0, floor: 0.9, ..Coder::of(vec![1.0; 40]) };
        assert!(coder.run(40.0, &[1.0]).met);
    }
}
