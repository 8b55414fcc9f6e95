//! Which axes of a field are frames, planes, rows and columns, where nobody says: tried on a box out of its middle.
//!
//! A field of four axes may be volumes in time, levels of films or components of them, and the last three axes are the
//! worst choice by a factor of two where time is coherent. Axes of one index change nothing: the choice is made among the
//! others.

use super::compress::{Beside, compress};
use super::tools::Tools;
use crate::bound::Bound;
use crate::error::Result;
use crate::field::{Axes, FieldStats, FieldView, Region, Values};
use crate::options::{Effort, FmMode, Options, Sentinels};

/// Axes of fewer indices are no rows and no columns, where there are longer ones.
const SHORT: usize = 6;
/// Values of the box that is tried, at most.
const MOST: usize = 1 << 17;
/// Values of the box where a share of the field would be less: smaller boxes say little.
const FEW: usize = 1 << 14;
/// Values of boxes that are worth trying.
const LEAST: usize = 1 << 10;
/// The RMS error of values that are quantised within a bound on points, over the bound: near that of uniform errors.
const RMS_OF_POINTS: f64 = 0.5;
/// Boxes of fewer bytes tell little, since half of them are headers; they are tried once more so many times as large.
const TELLING: f64 = 1024.0;
/// Unless the next best choice takes so many times as many.
const CLEAR: f64 = 1.3;
const WIDER: usize = 8;
/// Axes of the box are not cut below this.
const SIDE: usize = 16;
/// The share of the default's bytes that another choice has to stay below: boxes are small, and err.
const WORTH: f64 = 0.95;
/// As much for frames that are volumes, over the best choice of planes: nothing is predicted for them.
const WORTH_OF_VOLUMES: f64 = 0.9;

/// The axes that a field of these statistics is compressed with; `None` for the last three.
///
/// # Errors
/// As compressing.
pub(super) fn choose(
    field: &FieldView<'_>,
    stats: &FieldStats,
    bound: Bound,
    tools: &Tools<'_>,
) -> Result<Option<Axes>> {
    let dims = field.shape().dims();
    // Blocks of `block_l2` lie along the axes, and nothing is gained where there is no choice.
    if dims.len() < 3 || matches!(bound, Bound::BlockL2(_)) {
        return Ok(None);
    }
    let last = Axes::from([dims.len() - 3, dims.len() - 2, dims.len() - 1]);
    let stated = |axes: Axes| (axes != last).then_some(axes);
    let candidates = candidates(dims);
    let usual = candidates[0];
    let range = tools.options.range.unwrap_or(stats.range());
    if candidates.len() == 1 || !range.is_finite() || range <= 0.0 {
        return Ok(stated(usual));
    }
    let _span = tracing::debug_span!("axes").entered();
    // Bounds on points are tried as the RMS bounds that are about as dear, which take no search.
    let bound = match bound {
        Bound::Abs(limit) => Bound::Nrmse(RMS_OF_POINTS * limit / range),
        Bound::Rel(share) => Bound::Nrmse(RMS_OF_POINTS * share),
        other => other,
    };
    // A bound that is next to nothing of the range, or far beyond it, tells no axes apart.
    if Bound::from_parts(bound.name(), bound.value()).is_err() {
        return Ok(stated(usual));
    }
    // The box may hold too few of the field's marks, or of its data, to tell them apart.
    let sentinels = match &tools.options.sentinels {
        Sentinels::Auto => Sentinels::Given(stats.sentinels.clone()),
        given => given.clone(),
    };
    let options = Options { range: Some(range), sentinels, fm: FmMode::Off, segment: None, ..tools.options.clone() };
    let most = most(field.shape().len(), options.effort);
    let mut best = usual;
    for most in [most, WIDER * most] {
        let region = middle(dims, most);
        if region.count.iter().product::<usize>() < LEAST {
            break;
        }
        let part = field.part(&region)?;
        let stats = FieldStats::of(&part, options.fill_value, &options.sentinels);
        let trial = Trial { part, stats, bound, options: &options, tools };
        let found = trial.best(&candidates, dims)?;
        best = found.axes;
        if found.is_clear || WIDER * most > field.shape().len() / 2 {
            break;
        }
    }
    tracing::debug!(axes = ?best, "axes chosen");
    Ok(stated(best))
}

/// What a box says.
struct Found {
    axes: Axes,
    /// Whether its bytes tell.
    is_clear: bool,
}

/// A box of a field, on which axes are tried.
struct Trial<'a> {
    part: FieldView<'a>,
    stats: FieldStats,
    bound: Bound,
    options: &'a Options,
    tools: &'a Tools<'a>,
}

impl Trial<'_> {
    /// The best of some choices of axes, the usual one first, of a field of sizes `dims`.
    fn best(&self, candidates: &[Axes], dims: &[usize]) -> Result<Found> {
        let (usual, own) = (candidates[0], self.options.effort.min(Effort::Normal));
        // Frames of a few points are coded well where prediction modes are tried, and by them alone.
        let are_few_points = dims[usual.rows] < SHORT && dims[usual.columns] < SHORT;
        let effort = if are_few_points { own } else { Effort::Fast };
        let tried = candidates.iter().map(|&axes| Ok((axes, self.bytes(axes, effort)?))).collect::<Result<Vec<_>>>()?;
        let (planes, volumes): (Vec<_>, Vec<_>) = tried.into_iter().partition(|(axes, _)| axes.planes.is_none());
        // The first of those with the fewest bytes, of fewer than `most`.
        let smallest = |tried: &[(Axes, f64)], most: f64| {
            tried.iter().copied().filter(|&(_, bytes)| bytes < most).min_by(|(_, a), (_, b)| a.total_cmp(b))
        };
        let usual = planes[0];
        let other = smallest(&planes[1..], WORTH * usual.1);
        let (mut best, mut least) = other.unwrap_or(usual);
        let rivals = planes.iter().chain(&volumes).filter(|(axes, _)| *axes != best);
        let mut next = rivals.map(|(_, bytes)| *bytes).fold(f64::INFINITY, f64::min);
        if let Some((of_volumes, mut fewest)) = smallest(&volumes, other.map_or(WORTH * least, |(_, bytes)| bytes)) {
            // Frames that are planes are predicted from others, which the lowest effort does not show.
            if own != effort {
                (fewest, least) = (self.bytes(of_volumes, own)?, self.bytes(best, own)?);
            }
            tracing::debug!(fewest, least, "volumes and planes");
            if fewest < WORTH_OF_VOLUMES * least {
                best = of_volumes;
            }
            (least, next) = (fewest.min(least), fewest.max(least));
        }
        Ok(Found { axes: best, is_clear: least >= TELLING || next > CLEAR * least })
    }

    /// The box's bytes with some axes.
    fn bytes(&self, axes: Axes, effort: Effort) -> Result<f64> {
        let options = Options { axes: Some(axes), effort, ..self.options.clone() };
        let tools = Tools { options: &options, package: None, keeps_mean: false, ..*self.tools };
        let stats = self.stats.clone();
        let done = match self.part.values {
            Values::F32(values) => compress(&self.part, values, stats, self.bound, Beside::default(), &tools)?,
            Values::F64(values) => compress(&self.part, values, stats, self.bound, Beside::default(), &tools)?,
        };
        Ok(done.bytes.len() as f64)
    }
}

/// Values of the box that a field of `len` values is tried on: a little of the time that large fields take.
fn most(len: usize, effort: Effort) -> usize {
    let share = if effort == Effort::Fast { 32 } else { 12 };
    (len / share).clamp(FEW, MOST)
}

/// The choices of axes that are tried, the usual one first: the last three of the axes that are longer than one index,
/// and the last two that are not short with any other axis as frames; then the last three that are not short as volumes,
/// with any other as frames.
fn candidates(dims: &[usize]) -> Vec<Axes> {
    let mut long: Vec<usize> = (0..dims.len()).filter(|&axis| dims[axis] > 1).collect();
    // Where there are too few, those of one index stand in front.
    for axis in (0..dims.len()).rev() {
        if long.len() < 3 && dims[axis] == 1 {
            long.insert(0, axis);
        }
    }
    let mut found = vec![Axes::from([long[long.len() - 3], long[long.len() - 2], long[long.len() - 1]])];
    let sides: Vec<usize> = long.iter().copied().filter(|&axis| dims[axis] >= SHORT).collect();
    let mut add = |axes: Axes| {
        if !found.contains(&axes) {
            found.push(axes);
        }
    };
    let others = |within: &[usize]| long.iter().copied().filter(|axis| !within.contains(axis)).collect::<Vec<_>>();
    match sides[..] {
        [.., rows, columns] => {
            others(&[rows, columns]).into_iter().for_each(|frames| add([frames, rows, columns].into()));
        }
        [columns] if dims[columns] > 1 => {
            let others = others(&[columns]);
            add([others[others.len() - 2], others[others.len() - 1], columns].into());
        }
        _ => {}
    }
    if let [.., planes, rows, columns] = sides[..] {
        let volumes = others(&[planes, rows, columns]).into_iter();
        volumes.for_each(|frames| add([frames, planes, rows, columns].into()));
    }
    found
}

/// A box of at most `most` values out of the middle, if its sides allow it.
fn middle(dims: &[usize], most: usize) -> Region {
    let mut count = dims.to_vec();
    while count.iter().product::<usize>() > most {
        let Some(longest) = (0..count.len()).filter(|&axis| count[axis] > SIDE).max_by_key(|&axis| count[axis]) else {
            break;
        };
        count[longest] = count[longest].div_ceil(2).max(SIDE);
    }
    let start = dims.iter().zip(&count).map(|(dim, count)| (dim - count) / 2).collect();
    Region { start, count }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_of_one_index_change_nothing() {
        let named = |dims: &[usize]| candidates(dims).iter().map(Axes::list).collect::<Vec<_>>();
        assert_eq!(named(&[8, 64, 96]), [[0, 1, 2]]);
        assert_eq!(named(&[8, 1, 64, 96])[0], [0, 2, 3]);
        assert_eq!(named(&[8, 64, 96, 1])[0], [0, 1, 2]);
        assert_eq!(named(&[1, 64, 1, 96])[0], [2, 1, 3]);
        assert_eq!(named(&[100, 1, 1])[0], [1, 2, 0]);
        assert_eq!(named(&[1, 1, 1]), [[0, 1, 2]]);
    }

    #[test]
    fn short_axes_are_frames() {
        let named = |dims: &[usize]| candidates(dims).iter().map(Axes::to_string).collect::<Vec<_>>();
        assert_eq!(named(&[5000, 4, 4]), ["0,1,2", "1,2,0"]);
        assert_eq!(named(&[40, 50, 60, 3]), ["1,2,3", "0,1,2", "3,1,2", "3,0,1,2"]);
        assert_eq!(named(&[8, 96, 96, 96]), ["1,2,3", "0,2,3", "0,1,2,3"]);
        assert_eq!(named(&[4, 4, 4]), ["0,1,2"]);
        assert_eq!(named(&[4, 3, 20, 20, 20]), ["2,3,4", "0,3,4", "1,3,4", "0,2,3,4", "1,2,3,4"]);
    }

    #[test]
    fn boxes_are_small_and_inside() {
        for (dims, most) in [(vec![8, 96, 96, 96], MOST), (vec![3, 5, 7], 1000), (vec![100_000, 4, 4], 5000)] {
            let region = middle(&dims, most);
            for ((start, count), dim) in region.start.iter().zip(&region.count).zip(&dims) {
                assert!(*count > 0 && start + count <= *dim);
            }
            assert!(region.count.iter().product::<usize>() <= most, "{dims:?} {region:?}");
        }
    }
}
