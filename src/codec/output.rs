//! Output arrays, and where decoded windows go in them.

use super::segment::decode::DecodedWindow;
use crate::field::{Element, MAX_DIMS, Region};
use crate::window::{Cut, Placement, Segment, WindowBox, scatter};
use std::sync::Mutex;

/// An output array in the caller's memory.
pub(crate) struct Output<'a, T> {
    pub(crate) values: &'a mut [T],
    pub(crate) strides: [usize; MAX_DIMS],
}

/// Where decoded windows go.
pub(super) struct Place<'a> {
    pub(super) cut: &'a Cut,
    pub(super) region: &'a Region,
    pub(super) factor: usize,
    pub(super) strides: [usize; MAX_DIMS],
}

impl Place<'_> {
    /// Copies what the region wants of a window.
    pub(super) fn put<T: Element>(&self, segment: &Segment, window: &DecodedWindow<'_, T>, out: &Mutex<&mut [T]>) {
        let volumes = segment.depth > 1;
        let depth = segment.depth.div_ceil(if volumes { self.factor } else { 1 });
        let dims = [window.count / depth, depth, window.h, window.w];
        let factors = [1, self.factor, self.factor, self.factor];
        let (mut from, mut size, mut strides) = ([0; 4], [1; 4], [0; 4]);
        let mut start = 0;
        for (axis, (&first, &count)) in self.region.start.iter().zip(&self.region.count).enumerate() {
            let role = self.cut.axes.iter().position(|&a| a == Some(axis));
            let Some(role) = role else {
                start += (segment.origin[axis] - first) * self.strides[axis];
                continue;
            };
            let factor = factors[role];
            let origin = (segment.origin[axis] + if role == 0 { window.first / segment.depth } else { 0 }) / factor;
            let (region_from, region_until) = (first / factor, (first + count).div_ceil(factor));
            let (a, b) = (origin.max(region_from), (origin + dims[role]).min(region_until));
            if a >= b {
                return;
            }
            from[role] = a - origin;
            size[role] = b - a;
            strides[role] = self.strides[axis];
            start += (a - region_from) * self.strides[axis];
        }
        let mut out = out.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        scatter(window.values, WindowBox { dims, from, size }, &mut out, Placement { start, strides, first: 0 });
    }
}
