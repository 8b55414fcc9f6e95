//! Finding a method's parameter for a target NRMSE.

use anyhow::{Result, bail};

/// A peer's search ends within this share of the target; what is left after it is well below what a ratio can show.
pub const CLOSE: f64 = 0.002;
/// The most that a result may be off the target.
pub const TOLERANCE: f64 = 0.01;
/// Compressions at most.
const MOST_TRIALS: usize = 40;

/// One trial.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// The parameter.
    pub parameter: f64,
    /// The error it gave.
    pub nrmse: f64,
    /// The stream's bytes.
    pub bytes: usize,
}

/// Parameters tried on each side of a jump, a hundredth apart, in case the error is not monotonous and meets the target
/// there.
const AROUND_A_JUMP: i32 = 10;

/// Bisects `trial` for the parameter whose error is `target`: the nearest within [`TOLERANCE`], or the nearest below
/// the target where a method cannot meet it (its error jumps over it). Ends once the error is within `close` of the
/// target.
pub fn search_within(
    close: f64,
    start: f64,
    target: f64,
    mut trial: impl FnMut(f64) -> Result<(f64, usize)>,
) -> Result<Trial> {
    let mut trials: Vec<Trial> = Vec::new();
    // In logarithms, where error over parameter is nearly a line of slope 1: (parameter, error over target).
    let mut below: Option<(f64, f64)> = None;
    let mut above: Option<(f64, f64)> = None;
    let mut at = start.ln();
    for count in 0..MOST_TRIALS {
        let (nrmse, bytes) = trial(at.exp())?;
        trials.push(Trial { parameter: at.exp(), nrmse, bytes });
        let off = (nrmse / target).ln().max(-3.0);
        if (nrmse / target - 1.0).abs() <= close {
            break;
        }
        *(if off < 0.0 { &mut below } else { &mut above }) = Some((at, off));
        at = match (below, above) {
            (Some((low, low_off)), Some((high, high_off))) => {
                if (high - low).abs() < 1e-5 {
                    break;
                }
                // the secant, kept off the ends; plain halving every third time, so that it always closes in
                let part = if count % 3 == 2 { 0.5 } else { (-low_off / (high_off - low_off)).clamp(0.05, 0.95) };
                low + (high - low) * part
            }
            _ => at - off - 0.02 * off.signum(),
        };
    }
    let off = |t: &Trial| (t.nrmse / target - 1.0).abs();
    for step in (1..=AROUND_A_JUMP).flat_map(|step| [step, -step]) {
        if trials.iter().any(|t| off(t) <= TOLERANCE) {
            break;
        }
        let parameter = (at + 0.01 * f64::from(step)).exp();
        let (nrmse, bytes) = trial(parameter)?;
        trials.push(Trial { parameter, nrmse, bytes });
    }
    let below = |t: &&Trial| t.nrmse <= target;
    let best = trials.iter().filter(|t| off(t) <= TOLERANCE).min_by(|a, b| off(a).total_cmp(&off(b)));
    match best.or_else(|| trials.iter().filter(below).max_by(|a, b| a.nrmse.total_cmp(&b.nrmse))) {
        Some(best) => Ok(*best),
        None => bail!("no parameter reaches NRMSE {target}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meets_the_target_of_a_smooth_method() {
        let found = search_within(CLOSE, 1.0, 4e-3, |p| Ok((0.1 * p.powf(0.8), (1e4 / p) as usize))).unwrap();
        assert!((found.nrmse / 4e-3 - 1.0).abs() < CLOSE * 1.01);
    }

    #[test]
    fn stays_below_a_jump() {
        let found = search_within(CLOSE, 1.0, 4e-3, |p| Ok((if p < 0.3 { 1e-3 } else { 1e-2 }, 100))).unwrap();
        assert_eq!(found.nrmse, 1e-3);
    }
}
