//! Finding boxes that overlap, among many.

use crate::error::{Error, ErrorKind, Result};
use crate::field::{MAX_DIMS, Region};
use std::ops::Range;

/// Steps, then the axes of the domain.
const AXES: usize = MAX_DIMS + 1;
/// So few boxes are compared one by one.
const FEW: usize = 16;
/// How often each box is looked at, at most: decompositions take the logarithm of their number, boxes that somebody
/// arranged against the search would take for ever.
const LOOKS: usize = 1024;

struct Cuboid {
    low: [u64; AXES],
    high: [u64; AXES],
}

impl Cuboid {
    fn of(steps: &Range<u64>, region: &Region) -> Self {
        let mut cuboid = Self { low: [0; AXES], high: [1; AXES] };
        (cuboid.low[0], cuboid.high[0]) = (steps.start, steps.end);
        for (axis, (&start, &count)) in region.start.iter().zip(&region.count).enumerate() {
            cuboid.low[axis + 1] = start as u64;
            cuboid.high[axis + 1] = (start + count) as u64;
        }
        cuboid
    }

    fn overlaps(&self, other: &Self) -> bool {
        (0..AXES).all(|axis| self.low[axis] < other.high[axis] && other.low[axis] < self.high[axis])
    }
}

/// Two boxes that share a point at a step, by their places. Halves the boxes by planes, so that n disjoint
/// boxes of a decomposition cost about n log n.
///
/// # Errors
/// `Unsupported` for boxes that no planes separate well: nobody's decomposition, but perhaps somebody's forgery.
pub(super) fn overlapping<'a>(
    boxes: impl IntoIterator<Item = (&'a Range<u64>, &'a Region)>,
) -> Result<Option<(usize, usize)>> {
    let boxes: Vec<Cuboid> = boxes.into_iter().map(|(steps, region)| Cuboid::of(steps, region)).collect();
    let mut looks = LOOKS.saturating_mul(boxes.len());
    search(&boxes, (0..boxes.len()).collect(), &mut looks).ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            format!("whether the {} boxes of a variable overlap cannot be told", boxes.len()),
        )
    })
}

/// `None` where it takes more `looks` than there are.
fn search(boxes: &[Cuboid], among: Vec<usize>, looks: &mut usize) -> Option<Option<(usize, usize)>> {
    let halves = if among.len() > FEW { halve(boxes, &among) } else { None };
    let work = if halves.is_some() { among.len() } else { among.len() * among.len() };
    *looks = looks.checked_sub(work)?;
    if let Some((below, above)) = halves {
        drop(among);
        return match search(boxes, below, looks)? {
            None => search(boxes, above, looks),
            found => Some(found),
        };
    }
    for (k, &a) in among.iter().enumerate() {
        for &b in &among[k + 1..] {
            if boxes[a].overlaps(&boxes[b]) {
                return Some(Some((a.min(b), a.max(b))));
            }
        }
    }
    Some(None)
}

/// The boxes that reach below a plane, and those that reach above it; boxes that it cuts are in both. `None` where no
/// plane leaves both sides much smaller.
fn halve(boxes: &[Cuboid], among: &[usize]) -> Option<(Vec<usize>, Vec<usize>)> {
    let mut best: Option<(usize, usize, u64)> = None;
    for axis in 0..AXES {
        let mut starts: Vec<u64> = among.iter().map(|&k| boxes[k].low[axis]).collect();
        let middle = starts.len() / 2;
        let plane = *starts.select_nth_unstable(middle).1;
        let below = among.iter().filter(|&&k| boxes[k].low[axis] < plane).count();
        let above = among.iter().filter(|&&k| boxes[k].high[axis] > plane).count();
        let most = below.max(above);
        if below > 0 && best.is_none_or(|(least, _, _)| most < least) {
            best = Some((most, axis, plane));
        }
    }
    let (_, axis, plane) = best.filter(|&(most, _, _)| most <= among.len() - among.len() / 8)?;
    let below = among.iter().copied().filter(|&k| boxes[k].low[axis] < plane).collect();
    let above = among.iter().copied().filter(|&k| boxes[k].high[axis] > plane).collect();
    Some((below, above))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Box = (Range<u64>, Region);

    fn placed(steps: Range<u64>, start: &[usize], count: &[usize]) -> Box {
        (steps, Region { start: start.to_vec(), count: count.to_vec() })
    }

    fn find(boxes: &[Box]) -> Result<Option<(usize, usize)>> {
        overlapping(boxes.iter().map(|(steps, region)| (steps, region)))
    }

    #[test]
    fn a_grid_has_none_until_one_box_grows() {
        let mut boxes: Vec<Box> =
            (0..20 * 20 * 20).map(|k| placed(0..1, &[k / 400 * 5, k / 20 % 20 * 7, k % 20 * 3], &[5, 7, 3])).collect();
        assert_eq!(find(&boxes).unwrap(), None);
        boxes[4321].1.count[2] += 1;
        assert_eq!(find(&boxes).unwrap(), Some((4321, 4322)));
        boxes[4321].0 = 1..2;
        assert_eq!(find(&boxes).unwrap(), None);
    }

    /// Many boxes in one place, and rods along three axes that no plane separates well.
    #[test]
    fn hostile_boxes_are_no_long_search() {
        let same: Vec<Box> = (0..20_000).map(|_| placed(0..1, &[0, 0, 0], &[9, 9, 9])).collect();
        assert!(find(&same).is_ok_and(|found| found.is_some()) || find(&same).is_err());
        let side = 60;
        let rods: Vec<Box> = (0..3 * side * side)
            .map(|k| {
                let (axis, a, b) = (k / (side * side), k / side % side * 3, k % side * 3);
                let (mut start, mut count) = ([0; 3], [1; 3]);
                start[(axis + 1) % 3] = a + (axis == 1) as usize + 2 * (axis == 2) as usize;
                start[(axis + 2) % 3] = b + axis;
                count[axis] = 3 * side;
                placed(0..1, &start, &count)
            })
            .collect();
        let _ = find(&rods);
    }

    proptest! {
        #[test]
        fn finds_what_comparing_all_finds(
            sides in prop::collection::vec((0..2u64, prop::array::uniform3((0..40usize, 1..6usize))), 0..60)
        ) {
            let drawn: Vec<Box> = sides
                .iter()
                .map(|(t, sides)| placed(*t..t + 1, &sides.map(|side| side.0), &sides.map(|side| side.1)))
                .collect();
            let boxes: Vec<Cuboid> = drawn.iter().map(|(steps, region)| Cuboid::of(steps, region)).collect();
            let any = (0..boxes.len()).any(|a| (0..a).any(|b| boxes[a].overlaps(&boxes[b])));
            let found = find(&drawn).unwrap();
            prop_assert_eq!(found.is_some(), any);
            if let Some((a, b)) = found {
                prop_assert!(a != b && boxes[a].overlaps(&boxes[b]));
            }
        }
    }
}
