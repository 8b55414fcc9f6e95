//! How a field is cut: into series (the axes before the frames), tiles (of the frame; bricks, where frames are volumes)
//! and segments (of the frames); and
//! the copying of a segment's windows from and to the caller's memory.
//!
//! The cut follows from the shape, the choice of axes and the number of frames of a segment alone, so both directions
//! make it anew.

mod copy;

pub(crate) use copy::{Placement, Source, WindowBox, scatter};

use crate::error::{Error, Result};
use crate::field::{Axes, MAX_DIMS, Region, Shape};
use crate::residual::layout::Layout;
use std::num::NonZeroU16;

/// The most points of a tile.
const TILE_AREA: usize = 1 << 17;
/// The side that a frame longer both ways is cut to, at most.
const TILE_SIDE: usize = 360;
/// The most planes of a brick, and the most points of each.
const BRICK_DEPTH: usize = 16;
const BRICK_AREA: usize = 1 << 16;
const BRICK_SIDE: usize = 256;
/// Fewer planes than these are no brick of their own, but belong to the one before.
const LEAST_DEPTH: usize = 4;
/// The most points of a window of volumes that is longer than one frame: what is worked on at once is some times as
/// many values.
const MOST_OF_VOLUMES: usize = 1 << 23;
/// Tiles and windows start at multiples of this, so that the blocks of the `block_l2` bound lie within them.
pub(crate) const ALIGN: usize = 8;
/// Frames of a segment, unless another number is asked for; all of them may have to be read to reach any one frame.
const SEGMENT_FRAMES: u16 = 128;
/// Fewer than one in so many frames of a segment are no segment of their own, but belong to the one before: learning
/// anew for them would be dear.
const LEAST_SHARE: usize = 4;

/// One segment: a run of frames of one tile of one series. Where frames are volumes, it counts their planes, one frame's
/// after another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Index along each of the field's axes where the segment begins.
    pub(crate) origin: [usize; MAX_DIMS],
    /// Planes of all frames, and of each: 1 where frames are planes.
    pub(crate) count: usize,
    pub(crate) depth: usize,
    /// Rows and columns.
    pub(crate) h: usize,
    pub(crate) w: usize,
}

impl Segment {
    /// Frames, planes of each, rows and columns.
    pub(crate) fn sizes(&self) -> [usize; 4] {
        [self.count / self.depth, self.depth, self.h, self.w]
    }

    /// Frames of the longest window, where they are volumes.
    pub(crate) fn longest_window(&self) -> usize {
        (MOST_OF_VOLUMES / (self.depth * self.h * self.w)).max(1)
    }

    /// How its planes are analysed.
    pub(crate) fn layout(&self) -> Layout {
        Layout::of_volumes(self.depth, self.h, self.w)
    }

    /// Its points.
    pub(crate) fn points(&self) -> usize {
        self.count * self.h * self.w
    }
}

/// The cut of a field.
#[derive(Clone, Debug)]
pub(crate) struct Cut {
    /// The field's axes that are frames, planes, rows and columns; `None` where the field has none and the size is 1.
    pub(crate) axes: [Option<usize>; 4],
    pub(crate) segments: Vec<Segment>,
}

impl Cut {
    /// The most segments that a field is cut into; a header that declares more is not believed.
    const MAX_SEGMENTS: usize = 1 << 28;

    /// How many segments the cut of such a field has, without making it.
    ///
    /// # Errors
    /// As [`Cut::new`].
    pub(crate) fn count(shape: &Shape, axes: Option<Axes>, segment: Option<NonZeroU16>) -> Result<usize> {
        let (axes, series) = Self::series(shape, axes)?;
        let [frames, planes, rows, columns] = axes.map(|axis| axis.map_or(1, |axis| shape.dims()[axis]));
        let (tile_h, tile_w) = tile_size(rows, columns, axes[1].is_some());
        let tiles = [brick_count(planes), piece_count(rows, tile_h), piece_count(columns, tile_w)];
        [&tiles[..], &[run_count(frames, run_size(segment))]]
            .concat()
            .iter()
            .try_fold(series, |n, &m| n.checked_mul(m))
            .filter(|&n| n <= Self::MAX_SEGMENTS)
            .ok_or_else(|| {
                Error::invalid(format!(
                    "a field of shape {shape} has too many separate series of frames; name other axes"
                ))
            })
    }

    /// The axes of frames, planes, rows and columns, and the number of series.
    fn series(shape: &Shape, axes: Option<Axes>) -> Result<([Option<usize>; 4], usize)> {
        let ndim = shape.ndim();
        let axes = match axes {
            Some(axes) => {
                axes.check(ndim).map_err(|error| error.context(format!("a field of shape {shape}")))?;
                axes.roles()
            }
            None => match ndim {
                1 => [None, None, None, Some(0)],
                2 => [None, None, Some(0), Some(1)],
                n => [Some(n - 3), None, Some(n - 2), Some(n - 1)],
            },
        };
        let series = (0..ndim).filter(|axis| !axes.contains(&Some(*axis))).map(|axis| shape.dims()[axis]).product();
        Ok((axes, series))
    }

    /// The axes that are frames, planes, rows and columns; `None` where the field has none.
    ///
    /// # Errors
    /// As [`Cut::new`].
    pub(crate) fn axes(shape: &Shape, axes: Option<Axes>) -> Result<[Option<usize>; 4]> {
        Ok(Self::series(shape, axes)?.0)
    }

    /// The cut of a field of `shape`, with the last axes as frames, rows and columns, or those named, in segments of
    /// the usual number of frames, or that named.
    ///
    /// # Errors
    /// `InvalidArgument` where `axes` do not fit the shape.
    pub(crate) fn new(shape: &Shape, axes: Option<Axes>, segment: Option<NonZeroU16>) -> Result<Self> {
        let total = Self::count(shape, axes, segment)?;
        let (axes, series) = Self::series(shape, axes)?;
        let size = |axis: Option<usize>| axis.map_or(1, |axis| shape.dims()[axis]);
        let [frames, planes, rows, columns] = axes.map(size);
        let outer: Vec<usize> = (0..shape.ndim()).filter(|axis| !axes.contains(&Some(*axis))).collect();
        let (tile_h, tile_w) = tile_size(rows, columns, axes[1].is_some());
        let (rows, columns) = (pieces(rows, tile_h), pieces(columns, tile_w));
        let tiles: Vec<[(usize, usize); 3]> = bricks(planes)
            .flat_map(|z| rows.iter().map(move |&y| (z, y)))
            .flat_map(|(z, y)| columns.iter().map(move |&x| [z, y, x]))
            .collect();
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
            for &[(z, depth), (y, h), (x, w)] in &tiles {
                for &(t, frames) in &frames {
                    let mut origin = origin;
                    for (axis, start) in axes.iter().zip([t, z, y, x]) {
                        if let Some(axis) = axis {
                            origin[*axis] = start;
                        }
                    }
                    segments.push(Segment { origin, count: frames * depth, depth, h, w });
                }
            }
        }
        Ok(Self { axes, segments })
    }

    /// The planes of a segment, those of whole frames, that a region touches; `None` where it touches nothing of it.
    pub(crate) fn touched(&self, segment: &Segment, region: &Region) -> Option<(usize, usize)> {
        let sizes = segment.sizes();
        let mut planes = (0, segment.depth);
        for (axis, (&start, &count)) in region.start.iter().zip(&region.count).enumerate() {
            let role = self.axes.iter().position(|&a| a == Some(axis));
            let (origin, size) = (segment.origin[axis], role.map_or(1, |role| sizes[role]));
            let (from, until) = (start.max(origin), (start + count).min(origin + size));
            if from >= until {
                return None;
            }
            if role == Some(0) {
                planes = ((from - origin) * segment.depth, (until - origin) * segment.depth);
            }
        }
        Some(planes)
    }

    /// The part of a segment that begins at `origin` and has `dims` frames, rows and columns; where frames are volumes,
    /// planes, rows and columns of all of them.
    pub(crate) fn part(&self, segment: &Segment, origin: [usize; 3], dims: [usize; 3]) -> Segment {
        let [first, y, x] = origin;
        let [frames, depth, ..] = segment.sizes();
        let [count, h, w] = dims;
        let by = if depth > 1 { [0, first, y, x] } else { [first, 0, y, x] };
        let mut origin = segment.origin;
        for (axis, by) in self.axes.iter().zip(by) {
            if let Some(axis) = axis {
                origin[*axis] += by;
            }
        }
        match depth {
            1 => Segment { origin, count, depth, h, w },
            _ => Segment { origin, count: frames * count, depth: count, h, w },
        }
    }

    /// Strides along frames, planes, rows and columns, of an array with `strides` along the field's axes.
    pub(crate) fn strides(&self, strides: &[usize; MAX_DIMS]) -> [usize; 4] {
        self.axes.map(|axis| axis.map_or(0, |axis| strides[axis]))
    }
}

/// Sides of tiles of `rows` × `columns`, which are frames or planes of volumes.
fn tile_size(rows: usize, columns: usize, of_volumes: bool) -> (usize, usize) {
    let (area, side) = if of_volumes { (BRICK_AREA, BRICK_SIDE) } else { (TILE_AREA, TILE_SIDE) };
    if rows.saturating_mul(columns) <= area {
        (rows, columns)
    } else if rows <= side {
        (rows, area / rows)
    } else if columns <= side {
        (area / columns, columns)
    } else {
        (side, side)
    }
}

/// How many bricks planes are cut into.
fn brick_count(planes: usize) -> usize {
    (planes / BRICK_DEPTH + usize::from(planes % BRICK_DEPTH >= LEAST_DEPTH)).max(1)
}

/// Their first planes, and how many they have.
fn bricks(planes: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = brick_count(planes);
    (0..count).map(move |k| {
        let first = k * BRICK_DEPTH;
        (first, if k + 1 < count { BRICK_DEPTH } else { planes - first })
    })
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

    #[test]
    fn few_planes_are_no_brick_of_their_own() {
        let depths = |planes: usize| bricks(planes).map(|(_, depth)| depth).collect::<Vec<_>>();
        assert_eq!(depths(3), [3]);
        assert_eq!(depths(17), [17]);
        assert_eq!(depths(20), [16, 4]);
        assert_eq!(depths(35), [16, 19]);
        assert_eq!(depths(64), [16, 16, 16, 16]);
    }

    proptest! {
        #[test]
        fn segments_cover_a_field_once(
            dims in prop::collection::vec(1usize..7, 1..=5),
            (big, size) in (0usize..5, 1usize..1500),
            run in 0u16..40,
            named in prop::option::of((3usize..=4, Just(vec![0, 1, 2, 3, 4]).prop_shuffle())),
        ) {
            let mut dims = dims;
            let at = big % dims.len();
            dims[at] = size;
            let shape = Shape::new(&dims).unwrap();
            let run = NonZeroU16::new(run);
            let axes = named.and_then(|(roles, mut order)| {
                order.retain(|&axis| axis < dims.len());
                Axes::of_list(order.get(..roles)?)
            });
            let cut = Cut::new(&shape, axes, run).unwrap();
            let strides = shape.contiguous_strides();
            let [st, sz, sy, sx] = cut.strides(&strides);
            let mut seen = vec![0u8; shape.len()];
            for s in &cut.segments {
                let start: usize = s.origin.iter().zip(&strides).map(|(o, s)| o * s).sum();
                prop_assert_eq!(s.sizes().iter().product::<usize>(), s.points());
                for k in 0..s.count {
                    let (t, z) = (k / s.depth, k % s.depth);
                    for y in 0..s.h {
                        for x in 0..s.w {
                            seen[start + t * st + z * sz + y * sy + x * sx] += 1;
                        }
                    }
                }
            }
            prop_assert!(seen.iter().all(|&n| n == 1));
            prop_assert_eq!(cut.segments.len(), Cut::count(&shape, axes, run).unwrap());
        }
    }
}
