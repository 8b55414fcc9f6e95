//! Tiles of a frame: their places, the part of the result that each owns, and their padding.
//!
//! In: sizes. Out: a cover of the frame in which every point belongs to exactly one tile. Sizes are in pixels.

use std::ops::Range;

/// A stretch of tiles along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// First pixel of the tile.
    pub start: usize,
    /// First pixel that the tile gives to the result.
    pub own_start: usize,
    /// The pixel after the last one that it gives.
    pub own_end: usize,
}

/// Tiles of equal size that cover an axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    /// Length of every tile, padding included; a multiple of the alignment.
    pub tile: usize,
    /// The tiles, in order; their own parts follow on from one to the next.
    pub spans: Vec<Span>,
}

/// A cover of a frame: every pair of a span of rows and a span of columns is a tile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cover {
    /// Along the columns of pixels (vertical).
    pub rows: Axis,
    /// Along the rows of pixels (horizontal).
    pub columns: Axis,
}

impl Axis {
    /// One tile, padded at its end.
    fn single(n: usize, align: usize) -> Self {
        Self { tile: n.next_multiple_of(align), spans: vec![Span { start: 0, own_start: 0, own_end: n }] }
    }

    /// Evenly placed tiles of at most `largest` that overlap by at least `overlap`, as few as that allows; what two
    /// neighbours share is split in its middle. Only a single tile is padded.
    fn new(n: usize, align: usize, largest: usize, overlap: usize) -> Self {
        if n <= largest {
            return Self::single(n, align);
        }
        let overlap = overlap.min(largest / 2);
        let count = (n - overlap).div_ceil(largest - overlap);
        let tile = (n + (count - 1) * overlap).div_ceil(count).next_multiple_of(align).min(largest);
        let start = |index: usize| (n - tile) * index / (count - 1);
        let border = |index: usize| (start(index) + start(index - 1) + tile) / 2; // between index − 1 and index
        let spans = (0..count).map(|index| Span {
            start: start(index),
            own_start: if index == 0 { 0 } else { border(index) },
            own_end: if index + 1 == count { n } else { border(index + 1) },
        });
        Self { tile, spans: spans.collect() }
    }
}

impl Cover {
    /// Covers a frame of `h × w` by one padded tile where that has no more points than the largest tile, by overlapping
    /// ones otherwise. `largest` is a multiple of `align`.
    pub fn overlapping(h: usize, w: usize, align: usize, largest: usize, overlap: usize) -> Self {
        let area = h.next_multiple_of(align).checked_mul(w.next_multiple_of(align));
        if area.is_some_and(|area| area <= largest * largest) {
            return Self { rows: Axis::single(h, align), columns: Axis::single(w, align) };
        }
        Self { rows: Axis::new(h, align, largest, overlap), columns: Axis::new(w, align, largest, overlap) }
    }

    /// The tiles, row by row: spans of rows and of columns.
    pub fn tiles(&self) -> impl Iterator<Item = (Span, Span)> + '_ {
        self.rows.spans.iter().flat_map(|rows| self.columns.spans.iter().map(|columns| (*rows, *columns)))
    }

    /// Points of a tile, padding included.
    pub fn tile_len(&self) -> usize {
        self.rows.tile * self.columns.tile
    }
}

/// Divides an axis of `n` pixels into as few stretches of at most `largest` as will do, none overlapping, all starting
/// at multiples of `align`, of lengths as equal as that allows. `largest` is a multiple of `align`.
pub(crate) fn split(n: usize, align: usize, largest: usize) -> Vec<Range<usize>> {
    let units = n.div_ceil(align);
    let count = n.div_ceil(largest);
    let at = |index: usize| (units * index / count * align).min(n);
    (0..count).map(|index| at(index)..at(index + 1)).collect()
}

/// The index in `0..n` that reflection (without repeating the edge) puts at `i`.
pub(crate) fn reflect(i: usize, n: usize) -> usize {
    if i < n {
        return i;
    }
    if n == 1 {
        return 0;
    }
    let period = 2 * (n - 1);
    let i = i % period;
    i.min(period - i)
}

/// Copies the tile of `rows × columns` pixels that starts at (`top`, `left`) out of a frame `[h, w]`, reflected at the
/// frame's far edges.
pub(crate) fn crop(
    frame: &[f32],
    (h, w): (usize, usize),
    (top, left): (usize, usize),
    (rows, columns): (usize, usize),
    out: &mut Vec<f32>,
) {
    let inside = columns.min(w - left);
    for row in 0..rows {
        let line = &frame[reflect(top + row, h) * w..][..w];
        out.extend_from_slice(&line[left..left + inside]);
        out.extend((inside..columns).map(|column| line[reflect(left + column, w)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reflection_does_not_repeat_edges() {
        let indices: Vec<usize> = (0..9).map(|i| reflect(i, 4)).collect();
        assert_eq!(indices, [0, 1, 2, 3, 2, 1, 0, 1, 2]);
        assert_eq!(reflect(5, 1), 0);
        assert_eq!((0..4).map(|i| reflect(i, 2)).collect::<Vec<_>>(), [0, 1, 0, 1]);
    }

    #[test]
    fn gather_pads_at_the_far_edges() {
        let frame = [0.0, 1.0, 2.0, 10.0, 11.0, 12.0];
        let mut out = Vec::new();
        crop(&frame, (2, 3), (0, 0), (4, 4), &mut out);
        assert_eq!(out, [0.0, 1.0, 2.0, 1.0, 10.0, 11.0, 12.0, 11.0, 0.0, 1.0, 2.0, 1.0, 10.0, 11.0, 12.0, 11.0]);
        out.clear();
        crop(&frame, (2, 3), (1, 1), (1, 2), &mut out);
        assert_eq!(out, [11.0, 12.0]);
    }

    #[test]
    fn frames_up_to_the_largest_area_are_one_tile() {
        let cover = Cover::overlapping(192, 288, 16, 256, 32);
        assert_eq!((cover.rows.tile, cover.columns.tile, cover.tiles().count()), (192, 288, 1));
    }

    fn check_axis(axis: &Axis, n: usize, align: usize, largest: usize, overlap: usize) {
        assert_eq!(axis.tile % align, 0);
        let mut next = 0;
        for span in &axis.spans {
            assert_eq!(span.own_start, next);
            assert!(span.own_end > span.own_start);
            assert!(span.start <= span.own_start && span.own_end <= span.start + axis.tile);
            next = span.own_end;
        }
        assert_eq!(next, n);
        if axis.spans.len() > 1 {
            assert!(axis.tile <= largest);
            for pair in axis.spans.windows(2) {
                let shared = (pair[0].start + axis.tile).checked_sub(pair[1].start).expect("tiles touch");
                assert!(shared >= overlap.min(largest / 2), "overlap {shared}");
                assert!(pair[1].start + axis.tile <= n, "no padding where tiles overlap");
                // The border lies in the middle of what is shared.
                let depths = (pair[0].start + axis.tile - pair[1].own_start, pair[1].own_start - pair[1].start);
                assert!(depths.0.abs_diff(depths.1) <= 1);
            }
        }
    }

    proptest! {
        #[test]
        fn splits_have_no_gaps(n in 1usize..5000, align in 1usize..65, tiles in 1usize..6) {
            let largest = align * tiles;
            let parts = split(n, align, largest);
            prop_assert_eq!(parts.len(), n.div_ceil(largest));
            let mut next = 0;
            for part in parts {
                prop_assert!(part.start == next && part.start % align == 0);
                prop_assert!((1..=largest).contains(&part.len()));
                next = part.end;
            }
            prop_assert_eq!(next, n);
        }

        #[test]
        fn covers_have_no_gaps(
            (h, w) in (1usize..3000, 1usize..3000),
            align in prop::sample::select(vec![1usize, 4, 16, 64]),
            tiles in 1usize..8,
            overlap in 0usize..64,
        ) {
            let largest = align * tiles * 4;
            let cover = Cover::overlapping(h, w, align, largest, overlap);
            if cover.tiles().count() == 1 {
                prop_assert!(cover.rows.tile >= h && cover.rows.tile < h + align);
                prop_assert!(cover.columns.tile >= w && cover.columns.tile < w + align);
            }
            check_axis(&cover.rows, h, align, largest.max(cover.rows.tile), overlap.min(largest / 2));
            check_axis(&cover.columns, w, align, largest.max(cover.columns.tile), overlap.min(largest / 2));
            prop_assert!(cover.tile_len() <= (largest * largest).max(largest * align));
        }
    }
}
