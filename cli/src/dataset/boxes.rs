//! Chunks of variables, and the boxes by which they are copied.

use super::nc::Box;

/// Values of a chunk, at most: one is decoded whole to read a point of it.
const CHUNK_VALUES: usize = 1 << 22;
/// Frames of a chunk, where rows and columns leave room for so many: prediction in time wants them.
const FRAMES: usize = 32;
/// Frames of a chunk, at most: as many as the codec takes together.
const MOST_FRAMES: usize = 128;

/// `len` in equal pieces of at most `most`, each a multiple of `unit` where there are several: their size.
fn split(len: usize, most: usize, unit: usize) -> usize {
    if len <= most {
        return len.max(1);
    }
    let pieces = len.div_ceil(most.max(unit));
    len.div_ceil(pieces).next_multiple_of(unit)
}

/// The chunks of a variable: windows of time by tiles of rows and columns. Time is the first dimension that is longer than
/// one, of those before rows and columns; along the others of these, a chunk has one index.
pub fn chunks(shape: &[usize]) -> Vec<usize> {
    let mut chunks = vec![1; shape.len()];
    let (leading, plane) = shape.split_at(shape.len().saturating_sub(2));
    let time = leading.iter().position(|&len| len > 1);
    let frames = time.map_or(1, |axis| leading[axis].min(FRAMES));
    // A row is cut where it alone is too long, a plane by rows and columns alike.
    let area = (CHUNK_VALUES / frames).max(64);
    let values: usize = plane.iter().product();
    let cuts = (values as f64 / area as f64).max(1.0);
    let side = |len: usize| split(len, ((len as f64 / cuts.sqrt()).ceil() as usize).max(8), 8);
    let first = shape.len() - plane.len();
    match *plane {
        [row] => chunks[first] = split(row, area, 8),
        [rows, columns] => {
            chunks[first] = side(rows);
            chunks[first + 1] = split(columns, (area / chunks[first]).max(8), 8);
        }
        _ => {}
    }
    if let Some(axis) = time {
        let tile: usize = chunks[first..].iter().product();
        chunks[axis] = split(leading[axis], (CHUNK_VALUES / tile).clamp(1, MOST_FRAMES), 1);
    }
    chunks
}

/// The boxes that cover a variable in order, each of whole chunks, and of `most` values where a chunk allows it.
pub fn boxes(shape: &[usize], chunks: &[usize], most: usize) -> Vec<Box> {
    if shape.contains(&0) {
        return Vec::new();
    }
    let mut count: Vec<usize> = shape.iter().zip(chunks).map(|(&len, &chunk)| chunk.clamp(1, len)).collect();
    for axis in (0..shape.len()).rev() {
        let others: usize = count.iter().product::<usize>() / count[axis];
        let whole = (most / others) / count[axis] * count[axis];
        count[axis] = whole.clamp(count[axis], shape[axis]);
        if count[axis] < shape[axis] {
            break;
        }
    }
    let mut boxes = Vec::new();
    let mut start = vec![0; shape.len()];
    loop {
        let here = shape.iter().zip(&start).zip(&count).map(|((len, start), count)| (*count).min(len - start));
        boxes.push(Box { count: here.collect(), start: start.clone() });
        let Some(axis) = (0..shape.len()).rev().find(|&axis| start[axis] + count[axis] < shape[axis]) else {
            return boxes;
        };
        start[axis] += count[axis];
        start[axis + 1..].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_time_by_tiles() {
        assert_eq!(chunks(&[100, 192, 288]), [50, 192, 288]);
        assert_eq!(chunks(&[1, 30, 192, 288]), [1, 30, 192, 288]);
        assert_eq!(chunks(&[12, 30, 192, 288]), [12, 1, 192, 288]);
        assert_eq!(chunks(&[10_000_000]), [3_333_336]);
        assert_eq!(chunks(&[0, 5, 6]), [1, 5, 6]);
        assert!(chunks(&[]).is_empty());
    }

    #[test]
    fn chunks_are_bounded_and_fit() {
        for shape in [vec![400, 721, 1440], vec![3, 40_000, 7], vec![5, 3, 9000, 11_000], vec![100_000, 48], vec![7; 5]]
        {
            let chunks = chunks(&shape);
            assert!(chunks.iter().product::<usize>() <= 2 * CHUNK_VALUES, "{shape:?} {chunks:?}");
            assert!(chunks.iter().zip(&shape).all(|(chunk, len)| *chunk >= 1 && chunk <= len), "{shape:?} {chunks:?}");
        }
    }

    #[test]
    fn boxes_cover_every_index_once_by_whole_chunks() {
        for (shape, chunks, most) in [
            (vec![7, 5, 9], vec![2, 5, 4], 40),
            (vec![7, 5, 9], vec![1, 1, 1], 1),
            (vec![7, 5, 9], vec![3, 2, 9], 1 << 20),
            (vec![], vec![], 10),
            (vec![13], vec![4], 9),
        ] {
            let mut seen = vec![0; shape.iter().product()];
            for part in boxes(&shape, &chunks, most) {
                for axis in 0..shape.len() {
                    let end = part.start[axis] + part.count[axis];
                    assert_eq!(part.start[axis] % chunks[axis], 0);
                    assert!(end % chunks[axis] == 0 || end == shape[axis]);
                }
                let mut index = vec![0; shape.len()];
                for _ in 0..part.count.iter().product() {
                    let at = |axis: usize| part.start[axis] + index[axis];
                    seen[(0..shape.len()).fold(0, |sum, axis| sum * shape[axis] + at(axis))] += 1;
                    crate::source::advance(&mut index, &part.count);
                }
            }
            assert!(seen.iter().all(|times| *times == 1), "{shape:?} {chunks:?} {most}");
        }
        assert!(boxes(&[3, 0], &[1, 1], 10).is_empty());
    }
}
