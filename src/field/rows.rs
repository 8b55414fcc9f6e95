//! The one walk over the rows of an n-dimensional array: runs along its last axis, in C order.

use super::{Element, FieldView, MAX_DIMS, Shape};

/// Calls `f(first index, offset of its element, count, stride)` for every run along the last axis of the C-order
/// indices `from..until` of an array.
pub(crate) fn for_each_run(
    shape: &Shape,
    strides: &[usize; MAX_DIMS],
    from: usize,
    until: usize,
    mut f: impl FnMut(usize, usize, usize, usize),
) {
    let dims = shape.dims();
    let last = dims.len() - 1;
    // The place of the run's row along the axes before the last, and the offset of the row's first element.
    let mut place = [0; MAX_DIMS];
    let (mut column, mut rest, mut row) = (from % dims[last], from / dims[last], 0);
    for axis in (0..last).rev() {
        place[axis] = rest % dims[axis];
        row += place[axis] * strides[axis];
        rest /= dims[axis];
    }
    let mut index = from;
    while index < until {
        let count = (dims[last] - column).min(until - index);
        f(index, row + column * strides[last], count, strides[last]);
        index += count;
        column = 0;
        for axis in (0..last).rev() {
            place[axis] += 1;
            row += strides[axis];
            if place[axis] < dims[axis] {
                break;
            }
            row -= dims[axis] * strides[axis];
            place[axis] = 0;
        }
    }
}

/// Calls `f` with every row (run along the last axis) of a field; `buffer` serves rows that are not contiguous.
pub(crate) fn for_each_row<T: Element>(
    field: &FieldView<'_>,
    values: &[T],
    buffer: &mut Vec<T>,
    mut f: impl FnMut(&[T]),
) {
    for_each_run(field.shape(), &field.strides, 0, field.shape().len(), |_, start, count, stride| {
        if stride == 1 || count == 1 {
            f(&values[start..start + count]);
        } else {
            buffer.clear();
            buffer.extend((0..count).map(|i| values[start + i * stride]));
            f(buffer);
        }
    });
}

/// Appends a field's values in C order.
pub(crate) fn gather<T: Element>(values: &[T], field: &FieldView<'_>, out: &mut Vec<T>) {
    for_each_row(field, values, &mut Vec::new(), |row| out.extend_from_slice(row));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cover_every_index_in_order() {
        for dims in [vec![3, 4, 5], vec![60], vec![2, 1, 3, 2, 5], vec![60, 1]] {
            let shape = Shape::new(&dims).unwrap();
            let strides = shape.contiguous_strides();
            let mut seen = Vec::new();
            for_each_run(&shape, &strides, 7, 43, |index, start, count, stride| {
                assert_eq!(index, start);
                seen.extend((0..count).map(|i| start + i * stride));
            });
            assert_eq!(seen, (7..43).collect::<Vec<_>>(), "{dims:?}");
        }
    }

    #[test]
    fn strided_rows_come_in_the_order_of_the_view() {
        let values: Vec<f32> = (0..120).map(|v| v as f32).collect();
        // The transposed interior of a 10 x 12 array: no axis is contiguous.
        let view = FieldView::strided(&values[13..], &[8, 5], &[1, 24]).unwrap();
        let mut out = Vec::new();
        gather(&values[13..], &view, &mut out);
        let wanted: Vec<f32> = (0..40).map(|i| (13 + i / 5 + i % 5 * 24) as f32).collect();
        assert_eq!(out, wanted);
    }
}
