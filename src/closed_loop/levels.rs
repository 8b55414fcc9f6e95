//! The order in which points are coded by levels: from a coarse grid to the finest, each level in passes.
//!
//! A level halves the grid's spacing along its active axes. Its new points fall into classes by the axes along which
//! they lie between known points (the *odd* axes); a class is a [`Pass`]. Axes that are frozen have every index in
//! every pass.

/// Axes of a window: frames, rows, columns.
pub(super) const AXES: usize = 3;
/// The innermost axis.
pub(super) const INNER: usize = AXES - 1;

/// The sizes of a window's axes, and the distances in C order between indices along them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) dims: [usize; AXES],
    pub(super) strides: [usize; AXES],
}

impl Grid {
    /// The grid of these sizes. Axes of one point, which change no place in C order, come first: they change nothing
    /// else either.
    pub(super) fn of(dims: [usize; AXES]) -> Self {
        let mut sorted = dims;
        sorted.sort_by_key(|&n| n > 1);
        let dims = sorted;
        Self { dims, strides: [dims[1] * dims[2], dims[2], 1] }
    }

    /// How many points it has.
    pub(super) fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// The axes of more than one point, as bits.
    pub(super) fn axes(&self) -> u8 {
        (0..AXES).filter(|&axis| self.dims[axis] > 1).fold(0, |bits, axis| bits | 1 << axis)
    }

    /// The coordinates of a flat index.
    pub(super) fn coordinates(&self, mut index: usize) -> [usize; AXES] {
        std::array::from_fn(|axis| {
            let at = index / self.strides[axis];
            index %= self.strides[axis];
            at
        })
    }
}

/// One class of points of one level.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    /// 0 is the finest; the anchors have the coarsest level's number plus one.
    pub(super) level: u32,
    /// The distance of known points from these, along the odd axes.
    pub(super) step: usize,
    /// The axes along which these points lie between known ones, as bits.
    pub(super) odd: u8,
    /// The axes that this level refines.
    pub(super) active: u8,
    /// The axes that have all of their indices at every level.
    pub(super) frozen: u8,
    /// The first index, the distance of indices, and how many there are, along each axis.
    pub(super) start: [usize; AXES],
    pub(super) stride: [usize; AXES],
    pub(super) count: [usize; AXES],
}

/// Where the class of these odd axes comes in the order of a level.
fn place(odd: u8) -> (u32, u8) {
    (odd.count_ones(), odd)
}

/// Whether class `a` of a level comes before class `b`.
pub(super) fn precedes(a: u8, b: u8) -> bool {
    place(a) < place(b)
}

impl Pass {
    fn new(grid: &Grid, level: u32, [odd, active, frozen]: [u8; 3]) -> Self {
        let step = 1usize << level;
        let mut pass = Self { level, step, odd, active, frozen, start: [0; AXES], stride: [1; AXES], count: [1; AXES] };
        for axis in 0..AXES {
            let n = grid.dims[axis];
            if frozen >> axis & 1 == 1 {
                pass.count[axis] = n;
            } else if active >> axis & 1 == 1 {
                pass.start[axis] = if odd >> axis & 1 == 1 { step } else { 0 };
                pass.stride[axis] = 2 * step;
                pass.count[axis] = (n - pass.start[axis]).div_ceil(2 * step);
            }
        }
        pass
    }

    /// How many points it has.
    pub(super) fn len(&self) -> usize {
        self.count.iter().product()
    }

    /// The coordinates of the pass's `number`th row's first point.
    pub(super) fn row(&self, mut number: usize) -> [usize; AXES] {
        let mut at = self.start;
        for axis in (0..INNER).rev() {
            at[axis] += number % self.count[axis] * self.stride[axis];
            number /= self.count[axis];
        }
        at
    }

    /// Whether a window ends with it.
    pub(super) fn is_last(&self) -> bool {
        self.level == 0 && self.odd == self.active
    }

    /// How many rows it has.
    pub(super) fn rows(&self) -> usize {
        self.count[..INNER].iter().product()
    }

    /// The distance of a tap's unit along an axis: the step, or 1 where it is frozen.
    pub(super) fn unit(&self, axis: usize) -> usize {
        if self.frozen >> axis & 1 == 1 { 1 } else { self.step }
    }

    /// A class of passes: by level and odd axes, below 64.
    pub(super) fn class(&self) -> usize {
        self.level.min(7) as usize * 8 + usize::from(self.odd)
    }
}

/// All passes over a window, in the order of coding.
pub(super) fn passes(grid: &Grid, frozen: u8) -> Vec<Pass> {
    let free = grid.axes() & !frozen;
    let longest = (0..AXES).filter(|axis| free >> axis & 1 == 1).map(|axis| grid.dims[axis]).max().unwrap_or(1);
    let levels = longest.next_power_of_two().trailing_zeros();
    let mut all = vec![Pass::new(grid, levels, [0, 0, frozen])];
    for level in (0..levels).rev() {
        let active = (0..AXES)
            .filter(|&axis| free >> axis & 1 == 1 && grid.dims[axis] > 1 << level)
            .fold(0, |a, axis| a | 1 << axis);
        let mut classes: Vec<u8> = (1..1u8 << AXES).filter(|odd| odd & !active == 0).collect();
        classes.sort_by_key(|&odd| place(odd));
        all.extend(classes.into_iter().map(|odd| Pass::new(grid, level, [odd, active, frozen])));
    }
    all
}
