//! About how small a field gets without loss, from a sample of it: whether that is worth while.

use super::chunk;
use super::repeats::Repeats;
use crate::field::{Element, FieldView, for_each_run};
use crate::stream::REPEATS_CHUNK;

/// How coarsely repeats are searched for.
const COARSEST: usize = 32;
/// Runs of a sample, and values of a run.
const RUNS: usize = 16;
const RUN: usize = 1024;
/// Repeats must leave less than this share of the values to be worth while.
const WORTH: f64 = 0.97;

/// See the module's description.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outlook {
    /// Bytes of all values, and of those that do not repeat together with what repeats.
    pub(crate) plain: f64,
    pub(crate) repeats: f64,
}

impl Outlook {
    /// Looks at a field.
    pub(crate) fn of<T: Element>(field: &FieldView<'_>, values: &[T]) -> Self {
        let shape = field.shape();
        let total = shape.len();
        let near = near(shape.dims());
        let contiguous = field.strides[..shape.ndim()] == shape.contiguous_strides()[..shape.ndim()];
        let sections = total.div_ceil(REPEATS_CHUNK);
        let (mut all, mut new): (Vec<T>, Vec<T>) = (Vec::new(), Vec::new());
        let (mut new_count, mut copies) = (0, 0.0);
        let mut gathered = Vec::new();
        for k in 0..sections {
            let (from, until) = (k * REPEATS_CHUNK, total.min((k + 1) * REPEATS_CHUNK));
            let section = if contiguous {
                &values[from..until]
            } else {
                gather(field, values, from, until, &mut gathered);
                &gathered[..]
            };
            let found = Repeats::find(section, near, COARSEST);
            let runs = RUNS.div_ceil(sections);
            sample([section].into_iter(), section.len(), runs, &mut all);
            sample(found.new_values(section), found.new_count(), runs, &mut new);
            new_count += found.new_count();
            copies += found.bits() / 8.0;
        }
        let bytes =
            |sample: &[T], count: usize| chunk::encode(sample).len() as f64 / sample.len().max(1) as f64 * count as f64;
        let plain = bytes(&all, total);
        let worth = (new_count as f64) < WORTH * total as f64;
        Self { plain, repeats: if worth { bytes(&new, new_count) + copies } else { f64::INFINITY } }
    }
}

/// Distances at which values of C order may well repeat: of rows and of frames.
pub(super) fn near(dims: &[usize]) -> [usize; 2] {
    let row = dims.last().copied().unwrap_or(1);
    let rows = dims.len().checked_sub(2).map_or(1, |axis| dims[axis]);
    [row, row.saturating_mul(rows)]
}

/// The values `from..until` of C order.
pub(in crate::codec) fn gather<T: Element>(
    field: &FieldView<'_>,
    values: &[T],
    from: usize,
    until: usize,
    out: &mut Vec<T>,
) {
    out.clear();
    out.reserve(until - from);
    for_each_run(field.shape(), &field.strides, from, until, |_, start, count, stride| {
        out.extend((0..count).map(|i| values[start + i * stride]));
    });
}

/// Appends evenly spread runs of the values of `pieces`, which are `count` together.
fn sample<'v, T: Element>(pieces: impl Iterator<Item = &'v [T]>, count: usize, runs: usize, out: &mut Vec<T>) {
    let run = RUN.min(count.div_ceil(runs));
    // The first value of each run; all where they are few.
    let starts = |k: usize| if runs * run >= count { k * run } else { (count - run) * k / (runs - 1).max(1) };
    let (mut at, mut k) = (0, 0);
    for piece in pieces {
        while k < runs {
            let (from, until) = (starts(k).max(at), (starts(k) + run).min(at + piece.len()));
            if from < until {
                out.extend_from_slice(&piece[from - at..until - at]);
            }
            if starts(k) + run > at + piece.len() {
                break;
            }
            k += 1;
        }
        at += piece.len();
    }
}
