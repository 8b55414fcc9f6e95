//! Finding boxes that overlap, among many.

use super::index::Chunk;
use crate::field::MAX_DIMS;

/// Steps, then the axes of the domain.
const AXES: usize = MAX_DIMS + 1;
/// So few boxes are compared one by one.
const FEW: usize = 16;

struct Cuboid {
    low: [u64; AXES],
    high: [u64; AXES],
}

impl Cuboid {
    fn of(chunk: &Chunk) -> Self {
        let mut cuboid = Self { low: [0; AXES], high: [1; AXES] };
        (cuboid.low[0], cuboid.high[0]) = (chunk.steps.start, chunk.steps.end);
        for (axis, (&start, &count)) in chunk.region.start.iter().zip(&chunk.region.count).enumerate() {
            cuboid.low[axis + 1] = start as u64;
            cuboid.high[axis + 1] = (start + count) as u64;
        }
        cuboid
    }

    fn overlaps(&self, other: &Self) -> bool {
        (0..AXES).all(|axis| self.low[axis] < other.high[axis] && other.low[axis] < self.high[axis])
    }
}

/// Two chunks that share a point at a step, by their places in `chunks`. Halves the boxes by planes, so that n disjoint
/// boxes of a decomposition cost about n log n.
pub(super) fn overlapping(chunks: &[Chunk]) -> Option<(usize, usize)> {
    let boxes: Vec<Cuboid> = chunks.iter().map(Cuboid::of).collect();
    search(&boxes, (0..boxes.len()).collect())
}

fn search(boxes: &[Cuboid], among: Vec<usize>) -> Option<(usize, usize)> {
    if among.len() > FEW
        && let Some((below, above)) = halve(boxes, &among)
    {
        return search(boxes, below).or_else(|| search(boxes, above));
    }
    for (k, &a) in among.iter().enumerate() {
        for &b in &among[k + 1..] {
            if boxes[a].overlaps(&boxes[b]) {
                return Some((a.min(b), a.max(b)));
            }
        }
    }
    None
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
    use crate::field::Region;
    use proptest::prelude::*;

    fn chunk(steps: std::ops::Range<u64>, start: &[usize], count: &[usize]) -> Chunk {
        let region = Region { start: start.to_vec(), count: count.to_vec() };
        Chunk { rank: 0, steps, region, bytes: 0, depth: 0, file: 0, offset: 0, crc: 0 }
    }

    #[test]
    fn a_grid_has_none_until_one_box_grows() {
        let mut chunks: Vec<Chunk> =
            (0..20 * 20 * 20).map(|k| chunk(0..1, &[k / 400 * 5, k / 20 % 20 * 7, k % 20 * 3], &[5, 7, 3])).collect();
        assert_eq!(overlapping(&chunks), None);
        chunks[4321].region.count[2] += 1;
        assert_eq!(overlapping(&chunks), Some((4321, 4322)));
        chunks[4321].steps = 1..2;
        assert_eq!(overlapping(&chunks), None);
    }

    proptest! {
        #[test]
        fn finds_what_comparing_all_finds(
            sides in prop::collection::vec((0..2u64, prop::array::uniform3((0..40usize, 1..6usize))), 0..60)
        ) {
            let chunks: Vec<Chunk> = sides
                .iter()
                .map(|(t, sides)| chunk(*t..t + 1, &sides.map(|side| side.0), &sides.map(|side| side.1)))
                .collect();
            let boxes: Vec<Cuboid> = chunks.iter().map(Cuboid::of).collect();
            let any = (0..boxes.len()).any(|a| (0..a).any(|b| boxes[a].overlaps(&boxes[b])));
            let found = overlapping(&chunks);
            prop_assert_eq!(found.is_some(), any);
            if let Some((a, b)) = found {
                prop_assert!(a != b && boxes[a].overlaps(&boxes[b]));
            }
        }
    }
}
