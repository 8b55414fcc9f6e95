//! Temporal bases: the orthonormal T × T matrix that turns a window's frames into eigenframes.
//!
//! The PCA (Karhunen–Loève) basis of a rank's own frames, stored in 12-bit entries and made orthonormal again by both
//! sides in the same order of operations; or the cosine basis, which costs nothing and is near it for smoothly evolving
//! fields.

use crate::error::{Error, Result};
use std::borrow::Cow;

/// The longest window.
pub(crate) const MAX_WINDOW: usize = 255;
/// Entries of a stored basis are in units of 1 / ENTRY_UNITS.
const ENTRY_UNITS: f64 = 2047.0;

/// An orthonormal basis: `rows[k][t]`, eigenframes by falling energy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Basis {
    pub(crate) size: usize,
    pub(crate) rows: Vec<f64>,
}

impl Basis {
    /// The cosine (DCT-II) basis of `size` frames.
    pub(crate) fn cosine(size: usize) -> Self {
        if let Some(t) = hack().filter(|t| size > 32 && size % t == 0) {
            let (a, b) = (Self::cosine(t), Self::cosine(size / t));
            let z = b.size;
            let mut order: Vec<(usize, usize)> = (0..t).flat_map(|i| (0..z).map(move |j| (i, j))).collect();
            if std::env::var("FP_ORDER").is_ok_and(|o| o == "sum") {
                order.sort_by(|p, q| {
                    let f = |r: &(usize, usize)| r.0 as f64 / t as f64 + r.1 as f64 / z as f64;
                    f(p).total_cmp(&f(q))
                });
            }
            let rows = order
                .iter()
                .flat_map(|&(i, j)| {
                    let (a, b) = (&a, &b);
                    (0..size).map(move |k| a.rows[i * t + k / z] * b.rows[j * z + k % z])
                })
                .collect();
            return Self { size, rows };
        }
        let n = size as f64;
        let rows = (0..size * size)
            .map(|i| {
                let (k, t) = ((i / size) as f64, (i % size) as f64);
                let norm = if k == 0.0 { libm::sqrt(1.0 / n) } else { libm::sqrt(2.0 / n) };
                norm * libm::cos(std::f64::consts::PI * (t + 0.5) * k / n)
            })
            .collect();
        Self { size, rows }
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
        Ok(Self { size, rows })
    }

    /// The basis of a window of `count` frames: this one where it has as many, else the cosine basis.
    pub(crate) fn of(&self, count: usize) -> Cow<'_, Self> {
        if count == self.size { Cow::Borrowed(self) } else { Cow::Owned(Self::cosine(count)) }
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

pub(crate) fn hack() -> Option<usize> {
    std::env::var("FP_HACK").ok().and_then(|t| t.parse().ok())
}
