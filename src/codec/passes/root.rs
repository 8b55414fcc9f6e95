//! Where a falling or rising function of one number is zero, from few evaluations.

/// A number, and what the function is there.
#[derive(Clone, Copy, Debug)]
struct Known {
    at: f64,
    value: f64,
}

/// Looks for a zero of a function that is convex or concave near it and rises about as fast as its argument.
#[derive(Clone, Debug)]
pub(super) struct RootSearch {
    last: Known,
    before: Option<Known>,
    /// The nearest number known on the zero's other side than the last one.
    other: Option<Known>,
}

impl RootSearch {
    /// From a first number, where the function is `value`.
    pub(super) fn new(at: f64, value: f64) -> Self {
        Self { last: Known { at, value }, before: None, other: None }
    }

    /// The number to try next; `None` where nothing is to be learnt any more.
    pub(super) fn next(&self) -> Option<f64> {
        let Known { at, value } = self.last;
        let next = match (self.other, self.before) {
            (Some(other), _) => at - value * (other.at - at) / (other.value - value),
            // Further away from the zero: there may be none.
            (None, Some(before)) if value.abs() >= before.value.abs() => return None,
            // Flatter and flatter towards the zero, as where values are clamped, a line falls short of it.
            (None, Some(before)) => at - 2.0 * value * (before.at - at) / (before.value - value),
            (None, None) => at - value,
        };
        (next.is_finite() && next != at).then_some(next)
    }

    /// Takes in what the function is at a number.
    pub(super) fn note(&mut self, at: f64, value: f64) {
        let last = self.last;
        self.other = match self.other {
            _ if (value < 0.0) != (last.value < 0.0) => Some(last),
            // The same side again: half of the other's value draws the next number nearer to the zero (the Illinois
            // algorithm; Dowell and Jarratt 1971).
            Some(other) => Some(Known { value: other.value / 2.0, ..other }),
            None => None,
        };
        self.before = Some(last);
        self.last = Known { at, value };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Errors of a mean whose values are clamped: they fall with the share of the values that are not.
        #[test]
        fn eight_numbers_find_zeros(width in 0.5..30f64, share in 0.05..1f64, start in 0.1..1f64) {
            let of = |at: f64| start * (-width * at.abs()).exp() - share * at.abs();
            // The argument falls from 0.
            let function = |at: f64| if at > 0.0 { start + at } else { of(at) };
            let mut search = RootSearch::new(0.0, start);
            let mut least = start;
            for _ in 0..8 {
                let Some(at) = search.next() else { break };
                let value = function(at);
                least = least.min(value.abs());
                search.note(at, value);
            }
            prop_assert!(least < 0.01 * start, "{least} of {start}");
        }
    }
}
