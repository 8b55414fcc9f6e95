//! The blocks of a window, and their errors.

use crate::error::{Error, Result};

/// Points along a block's edge.
pub(super) const SIDE: usize = 8;
/// Points of a whole block. Smaller ones use the same strides.
pub(super) const POINTS: usize = SIDE * SIDE * SIDE;

/// The window's blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    dims: [usize; 3],
    /// How many there are along each axis.
    pub(super) blocks: [usize; 3],
}

/// One block: where it starts and how many points it has along each axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    origin: [usize; 3],
    pub(super) size: [usize; 3],
}

impl Grid {
    /// # Errors
    /// `Internal` where the window does not have `len` points.
    pub(super) fn new(dims: [usize; 3], len: usize) -> Result<Self> {
        let points = dims[0].checked_mul(dims[1]).and_then(|n| n.checked_mul(dims[2]));
        if points != Some(len) {
            return Err(Error::internal("a window does not have the size that its blocks are made from"));
        }
        Ok(Self { dims, blocks: dims.map(|n| n.div_ceil(SIDE)) })
    }

    pub(super) fn len(&self) -> usize {
        self.blocks.iter().product()
    }

    pub(super) fn block(&self, index: usize) -> Block {
        let [_, h, w] = self.blocks;
        let at = [index / (h * w), index / w % h, index % w];
        let origin = at.map(|i| i * SIDE);
        Block { origin, size: std::array::from_fn(|a| SIDE.min(self.dims[a] - origin[a])) }
    }

    /// The size of most blocks: those that PCA vectors are for.
    pub(super) fn common(&self) -> [usize; 3] {
        self.dims.map(|n| n.min(SIDE))
    }

    /// The block's rows: offset in the window, offset in the block.
    pub(super) fn rows(&self, block: &Block) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (block, [_, h, w]) = (*block, self.dims);
        (0..block.size[0]).flat_map(move |t| {
            (0..block.size[1]).map(move |y| {
                let [t0, y0, x0] = block.origin;
                (((t0 + t) * h + y0 + y) * w + x0, (t * SIDE + y) * SIDE)
            })
        })
    }

    /// The block's error in units of τ, 0 where there is no valid point, and its squared norm.
    pub(super) fn error(&self, block: &Block, window: &Window<'_>, decoded: &[f64]) -> (f64, [f64; POINTS]) {
        let mut out = [0.0; POINTS];
        let mut sum = 0.0;
        for (at, local) in self.rows(block) {
            for x in 0..block.size[2] {
                if window.classes.is_none_or(|c| c[at + x] == 0) {
                    let error = (window.original[at + x] - decoded[at + x]) / window.tau;
                    out[local + x] = error;
                    sum += error * error;
                }
            }
        }
        (sum, out)
    }
}

/// The window that the encoder compares with, and its bound.
#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    pub(super) original: &'a [f64],
    pub(super) classes: Option<&'a [u8]>,
    pub(super) tau: f64,
}

/// The grid of a window's blocks, where the sizes and the bound are sound.
///
/// # Errors
/// `Internal` where the sizes contradict each other or the bound is not positive.
pub(super) fn check(
    original: &[f64],
    decoded: &[f64],
    classes: Option<&[u8]>,
    dims: [usize; 3],
    tau: f64,
) -> Result<Grid> {
    if original.len() != decoded.len() || classes.is_some_and(|c| c.len() != decoded.len()) {
        return Err(Error::internal("a window and its reconstruction differ in size"));
    }
    if !(tau.is_finite() && tau > 0.0) {
        return Err(Error::internal("a block's bound is not positive"));
    }
    Grid::new(dims, decoded.len())
}
