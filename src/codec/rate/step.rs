//! How squared errors grow with the quantiser's step, and the step at which they come to what is wanted.

/// Squared errors grow with the step to about this power.
pub(crate) const STEP_POWER: f64 = 1.6;
/// Strides until a step is bracketed, and divisions of the bracket, at most.
const FAR: usize = 40;
const NEAR: usize = 30;

/// The step at which `error`, which grows with it but for small ripples, comes to `wanted`.
pub(crate) fn step_for(error: impl Fn(f64) -> f64, wanted: f64, start: f64) -> f64 {
    let excess = |log_step: f64| (error(log_step.exp()).max(f64::MIN_POSITIVE) / wanted).ln();
    let (mut here, mut found) = (start.ln(), excess(start.ln()));
    // A bracket by strides, then false position, halving the weight of an end that stays (the Illinois method).
    let mut before = (here, found);
    for _ in 0..FAR {
        if found == 0.0 || (found < 0.0) != (before.1 < 0.0) {
            break;
        }
        before = (here, found);
        here -= (found / STEP_POWER).clamp(-4f64.ln(), 20f64.ln()) + 0.02 * found.signum();
        found = excess(here);
    }
    let (mut a, mut b) = (before, (here, found));
    for _ in 0..NEAR {
        if b.1.abs() < 5e-4 || (a.1 < 0.0) == (b.1 < 0.0) {
            break;
        }
        let middle = b.0 - b.1 * (b.0 - a.0) / (b.1 - a.1);
        let found = excess(middle);
        a = if (found < 0.0) == (b.1 < 0.0) { (a.0, a.1 / 2.0) } else { b };
        b = (middle, found);
    }
    b.0.exp()
}

#[cfg(test)]
mod tests {
    use super::step_for;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_the_step_of_rippled_curves(power in 0.6f64..2.5, ripple in 0.0f64..0.02, step in -6f64..2.0, start in -6f64..2.0) {
            let error = |at: f64| at.powf(power) * (1.0 + ripple * (40.0 * at.ln()).sin());
            let wanted = error(10f64.powf(step));
            let found = step_for(error, wanted, 10f64.powf(start));
            prop_assert!((error(found) / wanted - 1.0).abs() < 2e-3, "{} {}", error(found), wanted);
        }
    }

    #[test]
    fn ends_where_no_step_is_coarse_enough() {
        // The error of a field of which nothing is coded any more.
        assert!(step_for(|step| step.min(1.0), 2.0, 0.1) > 1.0);
        assert!(step_for(|_| 0.0, 1.0, 0.1).is_finite());
    }
}
