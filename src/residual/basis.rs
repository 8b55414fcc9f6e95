//! Temporal bases: the orthonormal T × T matrix that turns a window's frames into eigenframes. Where frames are volumes,
//! their planes have the cosine basis along the depth, too, and the basis of a window is the product of the two.
//!
//! The PCA (Karhunen–Loève) basis of a rank's own frames, stored in 12-bit entries and made orthonormal again by both
//! sides in the same order of operations; or the cosine basis, which costs nothing and is near it for smoothly evolving
//! fields.

use super::kernels::{Kernel, change_basis};
use crate::error::{Error, Result};
use std::borrow::Cow;

/// The longest window, in frames.
pub(crate) const MAX_WINDOW: usize = 32;
/// Entries of a stored basis are in units of 1 / ENTRY_UNITS.
const ENTRY_UNITS: f64 = 2047.0;

/// An orthonormal basis: `rows[k][t]`, eigenframes by falling energy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Basis {
    /// Frames.
    pub(crate) size: usize,
    pub(crate) rows: Vec<f64>,
    /// Planes of each frame, and the rows of their basis; none where there is one plane.
    depth: usize,
    depth_rows: Vec<f64>,
}

impl Basis {
    /// The cosine (DCT-II) basis of `size` frames.
    pub(crate) fn cosine(size: usize) -> Self {
        let n = size as f64;
        let rows = (0..size * size)
            .map(|i| {
                let (k, t) = ((i / size) as f64, (i % size) as f64);
                let norm = if k == 0.0 { libm::sqrt(1.0 / n) } else { libm::sqrt(2.0 / n) };
                norm * libm::cos(std::f64::consts::PI * (t + 0.5) * k / n)
            })
            .collect();
        Self { size, rows, depth: 1, depth_rows: Vec::new() }
    }

    /// The same for frames of `depth` planes.
    pub(crate) fn of_volumes(self, depth: usize) -> Self {
        let depth_rows = if depth > 1 { Self::cosine(depth).rows } else { Vec::new() };
        Self { depth, depth_rows, ..self }
    }

    /// The eigenvectors of a `size` × `size` second-moment matrix, by falling eigenvalue, in stored precision.
    ///
    /// # Errors
    /// Where the matrix is not finite, or the eigenvectors do not survive rounding.
    pub(crate) fn pca(moments: &[f64], size: usize) -> Result<(Self, Vec<i16>)> {
        let matrix = faer::Mat::from_fn(size, size, |i, j| moments[i * size + j]);
        if moments.iter().any(|v| !v.is_finite()) {
            return Err(Error::internal("the frames' second moments are not finite"));
        }
        let eigen = matrix
            .self_adjoint_eigen(faer::Side::Lower)
            .map_err(|error| Error::internal(format!("no eigenvectors: {error:?}")))?;
        let vectors = eigen.U();
        // faer sorts by rising eigenvalue.
        let stored: Vec<i16> = (0..size * size)
            .map(|i| {
                let column = size - 1 - i / size;
                let sign = if (0..size).map(|t| vectors[(t, column)]).sum::<f64>() < 0.0 { -1.0 } else { 1.0 };
                (sign * vectors[(i % size, column)] * ENTRY_UNITS).round() as i16
            })
            .collect();
        Ok((Self::from_stored(&stored, size)?, stored))
    }

    /// A basis from stored entries, made orthonormal (modified Gram–Schmidt, twice, in order of rows).
    ///
    /// # Errors
    /// `Corrupt` where the rows are not linearly independent.
    pub(crate) fn from_stored(stored: &[i16], size: usize) -> Result<Self> {
        let mut rows: Vec<f64> = stored.iter().map(|&v| f64::from(v) / ENTRY_UNITS).collect();
        for k in 0..size {
            let (before, from) = rows.split_at_mut(k * size);
            let row = &mut from[..size];
            for _ in 0..2 {
                for other in before.chunks_exact(size) {
                    let dot: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
                    for (v, o) in row.iter_mut().zip(other) {
                        *v -= dot * o;
                    }
                }
            }
            let norm = row.iter().map(|v| v * v).sum::<f64>().sqrt();
            if norm < 0.25 {
                return Err(Error::corrupt("a temporal basis is not orthonormal"));
            }
            for v in row {
                *v /= norm;
            }
        }
        Ok(Self { size, rows, depth: 1, depth_rows: Vec::new() })
    }

    /// The basis of a window of frames of `planes` planes in all: this one where it has as many, else the cosine basis.
    pub(crate) fn of(&self, planes: usize) -> Cow<'_, Self> {
        let frames = planes / self.depth;
        if frames == self.size { Cow::Borrowed(self) } else { Cow::Owned(Self::cosine(frames).of_volumes(self.depth)) }
    }

    /// The eigenframes of frames `[size][depth][n]`, or of volumes the eigenplanes, those of the first eigenframe first.
    pub(crate) fn analyse<R: Kernel>(&self, frames: &[R], n: usize, out: &mut [R]) {
        let along_time = |k: usize, t: usize| self.row(k)[t];
        let along_depth = |k: usize, z: usize| self.depth_rows[k * self.depth + z];
        match (self.size, self.depth) {
            (_, 1) => change_basis(along_time, frames, self.size, n, out),
            (1, _) => self.each_volume(along_depth, frames, n, out),
            _ => {
                let mut between = vec![R::default(); frames.len()];
                self.each_volume(along_depth, frames, n, &mut between);
                change_basis(along_time, &between, self.size, self.depth * n, out);
            }
        }
    }

    /// The frames of eigenframes: the inverse of [`Basis::analyse`].
    pub(crate) fn synthesise<R: Kernel>(&self, planes: &[R], n: usize, out: &mut [R]) {
        let along_time = |t: usize, k: usize| self.row(k)[t];
        let along_depth = |z: usize, k: usize| self.depth_rows[k * self.depth + z];
        match (self.size, self.depth) {
            (_, 1) => change_basis(along_time, planes, self.size, n, out),
            (1, _) => self.each_volume(along_depth, planes, n, out),
            _ => {
                let mut between = vec![R::default(); planes.len()];
                change_basis(along_time, planes, self.size, self.depth * n, &mut between);
                self.each_volume(along_depth, &between, n, out);
            }
        }
    }

    /// Changes the basis of the planes of every volume `[depth][n]`.
    fn each_volume<R: Kernel>(&self, rows: impl Fn(usize, usize) -> f64, from: &[R], n: usize, to: &mut [R]) {
        let volume = self.depth * n;
        for (from, to) in from.chunks_exact(volume).zip(to.chunks_exact_mut(volume)) {
            change_basis(&rows, from, self.depth, n, to);
        }
    }

    /// Row `k`.
    pub(crate) fn row(&self, k: usize) -> &[f64] {
        &self.rows[k * self.size..][..self.size]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn orthonormal(basis: &Basis) -> bool {
        (0..basis.size).all(|i| {
            (0..basis.size).all(|j| {
                let dot: f64 = basis.row(i).iter().zip(basis.row(j)).map(|(a, b)| a * b).sum();
                (dot - f64::from(u8::from(i == j))).abs() < 1e-12
            })
        })
    }

    #[test]
    fn cosine_bases_are_orthonormal() {
        assert!((1..=MAX_WINDOW).all(|n| orthonormal(&Basis::cosine(n))));
    }

    proptest! {
        #[test]
        fn pca_bases_are_orthonormal_and_survive_storage(n in 1usize..=12, seed in prop::collection::vec(-1.0f64..1.0, 12 * 20)) {
            let mut moments = vec![0.0; n * n];
            for sample in seed.chunks_exact(12) {
                for i in 0..n {
                    for j in 0..n {
                        moments[i * n + j] += sample[i] * sample[j];
                    }
                }
            }
            let (basis, stored) = Basis::pca(&moments, n).unwrap();
            prop_assert!(orthonormal(&basis));
            prop_assert_eq!(Basis::from_stored(&stored, n).unwrap(), basis);
        }
    }
}
