//! How a field is cut: runs of whole rows of one axis, each contiguous in C order and coded on its own.

/// The most points of a run, but where one row of the innermost axis has more.
const POINTS: usize = 1 << 21;

/// The runs of a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Runs {
    /// The sizes of the axis that is cut and of those inside it.
    inner: Vec<usize>,
    /// How often those come.
    outer: usize,
    /// Rows of the axis that is cut in a run, and runs along it.
    rows: usize,
    pieces: usize,
}

impl Runs {
    /// The runs of a shape.
    pub(crate) fn of(dims: &[usize]) -> Self {
        Self::along(dims, Self::axis(dims))
    }

    /// The axis along which a shape is cut: the outermost whose rows are not too large.
    pub(crate) fn axis(dims: &[usize]) -> usize {
        let last = dims.len() - 1;
        (0..last).find(|&axis| dims[axis + 1..].iter().product::<usize>() <= POINTS).unwrap_or(last)
    }

    /// Runs along an axis, in pieces as equal as can be.
    pub(crate) fn along(dims: &[usize], axis: usize) -> Self {
        let most = (POINTS / dims[axis + 1..].iter().product::<usize>()).max(1);
        let rows = dims[axis].div_ceil(dims[axis].div_ceil(most));
        Self {
            inner: dims[axis..].to_vec(),
            outer: dims[..axis].iter().product(),
            rows,
            pieces: dims[axis].div_ceil(rows),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.outer * self.pieces
    }

    /// The C-order indices of run `k`.
    pub(crate) fn range(&self, k: usize) -> (usize, usize) {
        let row: usize = self.inner[1..].iter().product();
        let first = k / self.pieces * self.inner[0] * row + k % self.pieces * self.rows * row;
        (first, first + self.shape(k)[0] * row)
    }

    /// The shape of run `k`.
    pub(crate) fn shape(&self, k: usize) -> Vec<usize> {
        let mut shape = self.inner.clone();
        shape[0] = self.rows.min(self.inner[0] - k % self.pieces * self.rows);
        shape
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_follow_one_another(dims in prop::collection::vec(1usize..3000, 1..=5)) {
            let total = dims.iter().fold(1usize, |n, &d| n.saturating_mul(d));
            prop_assume!(total < 1 << 40);
            let runs = Runs::of(&dims);
            prop_assume!(runs.len() < 100_000);
            let mut at = 0;
            for k in 0..runs.len() {
                let (from, until) = runs.range(k);
                prop_assert_eq!(from, at);
                prop_assert_eq!(until - from, runs.shape(k).iter().product::<usize>());
                prop_assert!(until > from);
                at = until;
            }
            prop_assert_eq!(at, total);
        }
    }
}
