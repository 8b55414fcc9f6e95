//! Closed-loop prediction: each point is predicted from values as a decoder will have them, and what is left is
//! quantised to bins of twice the bound, so that no point errs by more.
//!
//! In: values, their shape, which of them are not data, and the bound. Out: bytes; and back, to the same values on
//! every machine. Data that are not smooth (fronts, counts, walks, sparse or sorted values) are coded best so: a
//! transform spreads each edge over many coefficients, and its errors have to be corrected point by point.
//!
//! Points are predicted by levels, from both sides ([`interpolate`]), or in C order from those behind ([`lorenzo`]);
//! weights are fitted to the field by the encoder ([`fit`]). What indices are coded under says most about their cost
//! ([`indices`]).

mod causal;
mod fit;
mod indices;
mod interpolate;
mod levels;
mod lorenzo;
mod quantise;
mod runs;
mod section;
mod taps;
#[cfg(test)]
mod tests;
mod tune;
mod work;

use crate::entropy::{BitCoder, Cost, Decoder, Encoder};
use crate::error::{Error, Result};
use crate::field::Element;
use indices::Model;
use levels::Grid;
pub(crate) use runs::Runs;
use section::{Parameters, Predictor};
use work::Work;

/// Codes all points of a field with one coder, in either direction; returns the values kept exactly.
fn run<T: Element, C: BitCoder>(
    coder: &mut C,
    parameters: &Parameters,
    grid: Grid,
    source: &[T],
    mask: Option<&[bool]>,
    known: &mut [T],
    bound: f64,
) -> Result<()> {
    if grid.len() != known.len() || mask.is_some_and(|mask| mask.len() != known.len()) {
        return Err(Error::internal("a field has another size than its shape"));
    }
    // In the function's own hands: the coder's few numbers stay in registers.
    let mut own = std::mem::take(coder);
    let mut model = Model::new();
    let mut work = Work { grid, source, mask, marks: vec![0; known.len()], known, kept: Vec::new() };
    let (own, model, work_ref) = (&mut own, &mut model, &mut work);
    let done = match (parameters.predictor, parameters.mixing) {
        (Predictor::Levels { frozen }, true) => {
            interpolate::code::<T, C, true>(own, model, work_ref, parameters, frozen, bound)
        }
        (Predictor::Levels { frozen }, false) => {
            interpolate::code::<T, C, false>(own, model, work_ref, parameters, frozen, bound)
        }
        (Predictor::Raster { axes, order }, true) => {
            lorenzo::code::<T, C, true>(own, model, work_ref, parameters, axes, order, bound)
        }
        (Predictor::Raster { axes, order }, false) => {
            lorenzo::code::<T, C, false>(own, model, work_ref, parameters, axes, order, bound)
        }
    };
    std::mem::swap(coder, own);
    done?;
    for (at, value) in std::mem::take(&mut work.kept) {
        work.known[at] = value;
    }
    Ok(())
}

/// About how many bytes a field takes with such parameters.
pub(crate) fn estimate<T: Element>(
    values: &[T],
    shape: &[usize],
    mask: Option<&[bool]>,
    parameters: &Parameters,
    bound: f64,
) -> f64 {
    let mut cost = Cost::default();
    let mut known = vec![T::from_f64(0.0); values.len()];
    match run(&mut cost, parameters, Grid::new(shape), values, mask, &mut known, bound) {
        Ok(()) => cost.bits() / 8.0,
        Err(_) => f64::INFINITY,
    }
}

/// Codes `values` so that none but those under `mask` is further than `bound` from what [`decode`] returns. Contexts
/// are mixed or not: smaller or faster.
///
/// # Errors
/// `Internal` where the sizes contradict each other.
pub(crate) fn encode<T: Element>(
    values: &[T],
    shape: &[usize],
    mask: Option<&[bool]>,
    bound: f64,
    mixing: bool,
) -> Result<Vec<u8>> {
    let parameters = tune::choose(values, shape, mask, bound, mixing);
    encode_with(values, shape, mask, &parameters, bound)
}

fn encode_with<T: Element>(
    values: &[T],
    shape: &[usize],
    mask: Option<&[bool]>,
    parameters: &Parameters,
    bound: f64,
) -> Result<Vec<u8>> {
    let mut coder = Encoder::new(Vec::new());
    let mut known = vec![T::from_f64(0.0); values.len()];
    run(&mut coder, parameters, Grid::new(shape), values, mask, &mut known, bound)?;
    let mut out = Vec::new();
    parameters.write::<T>(&mut out);
    out.extend(coder.finish());
    Ok(out)
}

/// Decodes what [`encode`] made of a field of this shape and mask.
///
/// # Errors
/// `Corrupt` for bytes that no encoder wrote.
pub(crate) fn decode<T: Element>(bytes: &[u8], shape: &[usize], mask: Option<&[bool]>, out: &mut [T]) -> Result<()> {
    let (parameters, rest) = Parameters::read::<T>(bytes)?;
    let mut coder = Decoder::new(rest);
    run(&mut coder, &parameters, Grid::new(shape), &[], mask, out, 0.0)?;
    coder.finish()
}
