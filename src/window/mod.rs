//! How a field is cut: into series (the axes before the frames), tiles (of the frame) and segments (of the frames); and
//! the copying of a segment's windows from and to the caller's memory.
//!
//! The cut follows from the shape, the choice of axes and the number of frames of a segment alone, so both directions
//! make it anew.

mod copy;

pub(crate) use copy::{Placement, Source, WindowBox, scatter};

use crate::error::{Error, Result};
use crate::field::{MAX_DIMS, Region, Shape};
use std::num::NonZeroU16;

/// The most points of a tile.
const TILE_AREA: usize = 1 << 17;
/// The side that a frame longer both ways is cut to, at most.
const TILE_SIDE: usize = 360;
/// Tiles and windows start at multiples of this, so that the blocks of the `block_l2` bound lie within them.
pub(crate) const ALIGN: usize = 8;
/// Frames of a segment, unless another number is asked for; all of them may have to be read to reach any one frame.
const SEGMENT_FRAMES: u16 = 128;
/// Fewer than one in so many frames of a segment are no segment of their own, but belong to the one before: learning
/// anew for them would be dear.
const LEAST_SHARE: usize = 4;

/// One segment: a run of frames of one tile of one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Index along each of the field's axes where the segment begins.
    pub(crate) origin: [usize; MAX_DIMS],
    /// Frames, rows and columns.
    pub(crate) count: usize,
    pub(crate) h: usize,
    pub(crate) w: usize,
}

/// The cut of a field.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    /// The field's axes that are frames, rows and columns; `None` where the field has none and the size is 1.
    pub(crate) axes: [Option<usize>; 3],
    pub(crate) segments: Vec<Segment>,
}

impl Cut {
    /// The most segments that a field is cut into; a header that declares more is not believed.
    const MAX_SEGMENTS: usize = 1 << 28;

    /// How many segments the cut of such a field has, without making it.
    ///
    /// # Errors
    /// As [`Cut::new`].
    pub(crate) fn count(shape: &Shape, axes: Option<[usize; 3]>, segment: Option<NonZeroU16>) -> Result<usize> {
        let (axes, series) = Self::series(shape, axes)?;
        let [frames, rows, columns] = axes.map(|axis| axis.map_or(1, |axis| shape.dims()[axis]));
        let (tile_h, tile_w) = tile_size(rows, columns);
        [piece_count(rows, tile_h), piece_count(columns, tile_w), run_count(frames, run_size(segment))]
            .iter()
            .try_fold(series, |n, &m| n.checked_mul(m))
            .filter(|&n| n <= Self::MAX_SEGMENTS)
            .ok_or_else(|| {
                Error::invalid(format!(
                    "a field of shape {shape} has too many separate series of frames; name other axes"
                ))
            })
    }

    /// The axes of frames, rows and columns, and the number of series.
    fn series(shape: &Shape, axes: Option<[usize; 3]>) -> Result<([Option<usize>; 3], usize)> {
        let ndim = shape.ndim();
        let axes = match axes {
            Some([a, b, c]) if a.max(b).max(c) < ndim && a != b && a != c && b != c => [a, b, c].map(Some),
            Some(axes) => {
                return Err(Error::invalid(format!("axes {axes:?} do not fit a field of {ndim} dimensions ({shape})")));
            }
            None => match ndim {
                1 => [None, None, Some(0)],
                2 => [None, Some(0), Some(1)],
                n => [Some(n - 3), Some(n - 2), Some(n - 1)],
            },
        };
        let series = (0..ndim).filter(|axis| !axes.contains(&Some(*axis))).map(|axis| shape.dims()[axis]).product();
        Ok((axes, series))
    }

    /// The axes that are frames, rows and columns; `None` where the field has none.
    ///
    /// # Errors
    /// As [`Cut::new`].
    pub(crate) fn axes(shape: &Shape, axes: Option<[usize; 3]>) -> Result<[Option<usize>; 3]> {
        Ok(Self::series(shape, axes)?.0)
    }

    /// The cut of a field of `shape`, with the last axes as frames, rows and columns, or those named, in segments of
    /// the usual number of frames, or that named.
    ///
    /// # Errors
    /// `InvalidArgument` where `axes` do not fit the shape.
    pub(crate) fn new(shape: &Shape, axes: Option<[usize; 3]>, segment: Option<NonZeroU16>) -> Result<Self> {
        let total = Self::count(shape, axes, segment)?;
        let (axes, series) = Self::series(shape, axes)?;
        let size = |axis: Option<usize>| axis.map_or(1, |axis| shape.dims()[axis]);
        let [frames, rows, columns] = axes.map(size);
        let outer: Vec<usize> = (0..shape.ndim()).filter(|axis| !axes.contains(&Some(*axis))).collect();
        let (tile_h, tile_w) = tile_size(rows, columns);
        let (rows, columns) = (pieces(rows, tile_h), pieces(columns, tile_w));
        let run = run_size(segment);
        let frames: Vec<(usize, usize)> = (0..).step_by(run).zip(runs(frames, run)).collect();
        let mut segments = Vec::with_capacity(total);
        for index in 0..series {
            let mut origin = [0; MAX_DIMS];
            let mut rest = index;
            for &axis in outer.iter().rev() {
                origin[axis] = rest % shape.dims()[axis];
                rest /= shape.dims()[axis];
            }
            for &(y, h) in &rows {
                for &(x, w) in &columns {
                    for &(t, count) in &frames {
                        let mut origin = origin;
                        for (axis, start) in axes.iter().zip([t, y, x]) {
                            if let Some(axis) = axis {
                                origin[*axis] = start;
                            }
                        }
                        segments.push(Segment { origin, count, h, w });
                    }
                }
            }
        }
        Ok(Self { axes, segments })
    }

    /// The frames of a segment that a region touches; `None` where it touches nothing of it.
    pub(crate) fn touched(&self, segment: &Segment, region: &Region) -> Option<(usize, usize)> {
        let sizes = [segment.count, segment.h, segment.w];
        let mut frames = (0, 1);
        for (axis, (&start, &count)) in region.start.iter().zip(&region.count).enumerate() {
            let role = self.axes.iter().position(|&a| a == Some(axis));
            let (origin, size) = (segment.origin[axis], role.map_or(1, |role| sizes[role]));
            let (from, until) = (start.max(origin), (start + count).min(origin + size));
            if from >= until {
                return None;
            }
            if role == Some(0) {
                frames = (from - origin, until - origin);
            }
        }
        Some(frames)
    }

    /// Strides along frames, rows and columns, of an array with `strides` along the field's axes.
    pub(crate) fn strides(&self, strides: &[usize; MAX_DIMS]) -> [usize; 3] {
        self.axes.map(|axis| axis.map_or(0, |axis| strides[axis]))
    }
}

/// Tile sides for frames of `rows` × `columns`.
fn tile_size(rows: usize, columns: usize) -> (usize, usize) {
    if rows.saturating_mul(columns) <= TILE_AREA {
        (rows, columns)
    } else if rows <= TILE_SIDE {
        (rows, TILE_AREA / rows)
    } else if columns <= TILE_SIDE {
        (TILE_AREA / columns, columns)
    } else {
        (TILE_SIDE, TILE_SIDE)
    }
}

/// Frames of a segment.
fn run_size(segment: Option<NonZeroU16>) -> usize {
    usize::from(segment.map_or(SEGMENT_FRAMES, NonZeroU16::get))
}

/// How many segments of `run` frames a series of frames is cut into.
fn run_count(frames: usize, run: usize) -> usize {
    let least = (run / LEAST_SHARE).max(1);
    frames.saturating_sub(least - 1).div_ceil(run).max(1)
}

/// Their frames.
fn runs(frames: usize, run: usize) -> impl Iterator<Item = usize> {
    let count = run_count(frames, run);
    (0..count).map(move |k| if k + 1 < count { run } else { frames - k * run })
}

/// The size of the nearly equal pieces of at most about `most` that `n` is cut into, all but the last a multiple of
/// [`ALIGN`].
fn piece_size(n: usize, most: usize) -> usize {
    if n <= most { n } else { n.div_ceil(n.div_ceil(most)).next_multiple_of(ALIGN) }
}

fn piece_count(n: usize, most: usize) -> usize {
    n.div_ceil(piece_size(n, most))
}

/// Starts and sizes of those pieces.
fn pieces(n: usize, most: usize) -> Vec<(usize, usize)> {
    let size = piece_size(n, most);
    (0..n).step_by(size).map(|start| (start, size.min(n - start))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_remainders_belong_to_the_segment_before() {
        let cut = |frames: usize| runs(frames, run_size(None)).collect::<Vec<_>>();
        assert_eq!(cut(1), [1]);
        assert_eq!(cut(159), [159]);
        assert_eq!(cut(160), [128, 32]);
        assert_eq!(cut(287), [128, 159]);
        assert_eq!(cut(288), [128, 128, 32]);
        assert_eq!(runs(18, 8).collect::<Vec<_>>(), [8, 8, 2]);
        assert_eq!(runs(17, 8).collect::<Vec<_>>(), [8, 9]);
        assert_eq!(runs(3, 1).collect::<Vec<_>>(), [1, 1, 1]);
    }

    proptest! {
        #[test]
        fn segments_cover_a_field_once(dims in prop::collection::vec(1usize..7, 1..=5), big in 0usize..5, size in 1usize..1500, run in 0u16..40) {
            let mut dims = dims;
            let at = big % dims.len();
            dims[at] = size;
            let shape = Shape::new(&dims).unwrap();
            let run = NonZeroU16::new(run);
            let cut = Cut::new(&shape, None, run).unwrap();
            let strides = shape.contiguous_strides();
            let [st, sy, sx] = cut.strides(&strides);
            let mut seen = vec![0u8; shape.len()];
            for s in &cut.segments {
                let start: usize = s.origin.iter().zip(&strides).map(|(o, s)| o * s).sum();
                for t in 0..s.count {
                    for y in 0..s.h {
                        for x in 0..s.w {
                            seen[start + t * st + y * sy + x * sx] += 1;
                        }
                    }
                }
            }
            prop_assert!(seen.iter().all(|&n| n == 1));
            prop_assert_eq!(cut.segments.len(), Cut::count(&shape, None, run).unwrap());
        }
    }
}
