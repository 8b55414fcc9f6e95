//! Copying windows between the caller's memory and working arrays.

use super::Segment;
use crate::field::{Element, MAX_DIMS, Normalisation, Specials};
use crate::residual::real::Real;

/// Where a run of a segment's planes lies in an array: the offset of the first frame's first element, the strides along
/// frames, planes, rows and columns, and which of the frames' planes is the run's first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement {
    pub(crate) start: usize,
    pub(crate) strides: [usize; 4],
    pub(crate) first: usize,
}

impl Segment {
    /// Where the segment lies in an array with `strides` along the field's axes and `along` along frames, planes, rows
    /// and columns.
    pub(crate) fn place(&self, strides: &[usize; MAX_DIMS], along: [usize; 4]) -> Placement {
        Placement { start: self.origin.iter().zip(strides).map(|(o, s)| o * s).sum(), strides: along, first: 0 }
    }
}

/// A segment in the caller's memory.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a, T> {
    pub(crate) values: &'a [T],
    pub(crate) segment: &'a Segment,
    /// Where its first plane lies.
    pub(crate) placement: Placement,
}

impl<T: Element> Source<'_, T> {
    /// The same from plane `first` on.
    pub(crate) fn starting_at(&self, first: usize) -> Self {
        Self { placement: Placement { first: self.placement.first + first, ..self.placement }, ..*self }
    }

    /// Calls `f(index of the row's first element in the window, the row's first element in the array)` for every row of
    /// the first `count` planes.
    fn rows(&self, count: usize, mut f: impl FnMut(usize, usize)) {
        let (segment, Placement { start, strides: [st, sz, sy, _], first }) = (self.segment, self.placement);
        for k in 0..count {
            let (t, z) = ((first + k) / segment.depth, (first + k) % segment.depth);
            for y in 0..segment.h {
                f((k * segment.h + y) * segment.w, start + t * st + z * sz + y * sy);
            }
        }
    }

    /// Copies the first `count` planes into `frames` in working units, and their masks' classes into `classes` where
    /// there are `specials` (masked points get 0). True where a point is masked.
    pub(crate) fn normalised<R: Real>(
        &self,
        count: usize,
        normalisation: &Normalisation,
        specials: &Specials,
        frames: &mut Vec<R>,
        classes: &mut Vec<u8>,
    ) -> bool {
        let &Self { values, segment, placement } = self;
        let n = count * segment.h * segment.w;
        frames.resize(n, R::default());
        let inverse = 1.0 / normalisation.scale();
        let mean = normalisation.mean;
        let stride = placement.strides[3];
        self.rows(count, |at, start| {
            let out = &mut frames[at..at + segment.w];
            if stride == 1 {
                for (o, v) in out.iter_mut().zip(&values[start..start + segment.w]) {
                    *o = R::from_f64((v.to_f64() - mean) * inverse);
                }
            } else {
                for (x, o) in out.iter_mut().enumerate() {
                    *o = R::from_f64((values[start + x * stride].to_f64() - mean) * inverse);
                }
            }
        });
        if specials.is_empty() {
            classes.clear();
            return false;
        }
        classes.resize(n, 0);
        let mut any = false;
        self.rows(count, |at, start| {
            for x in 0..segment.w {
                let class = specials.class_of(values[start + x * stride].to_bits_u64()).unwrap_or(0);
                classes[at + x] = class;
                if class != 0 {
                    any = true;
                    frames[at + x] = R::default();
                }
            }
        });
        any
    }

    /// Copies the first `count` planes as they are.
    pub(crate) fn original(&self, count: usize, out: &mut Vec<T>) {
        let &Self { values, segment, placement } = self;
        out.clear();
        out.reserve(count * segment.h * segment.w);
        let stride = placement.strides[3];
        self.rows(count, |_, start| {
            if stride == 1 {
                out.extend_from_slice(&values[start..start + segment.w]);
            } else {
                out.extend((0..segment.w).map(|x| values[start + x * stride]));
            }
        });
    }
}

/// A box of a decoded window: the window's frames, planes, rows and columns, and the box's first and how many. All in
/// units of the (scaled) window's points.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowBox {
    pub(crate) dims: [usize; 4],
    pub(crate) from: [usize; 4],
    pub(crate) size: [usize; 4],
}

/// Copies a box of a decoded window, `[frames][planes][h][w]` values, to its place in the caller's array.
pub(crate) fn scatter<T: Element>(decoded: &[T], part: WindowBox, out: &mut [T], place: Placement) {
    let WindowBox { dims, from, size } = part;
    let strides = place.strides;
    for k in 0..size[0] * size[1] {
        let (t, z) = (k / size[1], k % size[1]);
        let plane = (from[0] + t) * dims[1] + from[1] + z;
        for y in 0..size[2] {
            let source = (plane * dims[2] + from[2] + y) * dims[3] + from[3];
            let source = &decoded[source..source + size[3]];
            let target = place.start + t * strides[0] + z * strides[1] + y * strides[2];
            if strides[3] == 1 {
                out[target..target + size[3]].copy_from_slice(source);
            } else {
                for (x, &v) in source.iter().enumerate() {
                    out[target + x * strides[3]] = v;
                }
            }
        }
    }
}
