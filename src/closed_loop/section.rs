//! What stands before the coded indices: how a field was predicted and quantised.

use crate::error::{Error, Result};
use crate::field::Element;

/// How points are predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Predictor {
    /// By levels, from both sides; axes that are frozen (bits) have all of their indices at every level.
    Levels { frozen: u8 },
    /// In C order, by Lorenzo's predictor along `axes` (bits) of order 1 or 2; order 3: by weights fitted to the field.
    Raster { axes: u8, order: u8 },
}

/// The parameters of a coded field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Parameters {
    pub(super) predictor: Predictor,
    /// Whether contexts are mixed.
    pub(super) mixing: bool,
    /// The width of a bin of the finest level.
    pub(super) bin: f64,
    /// Each coarser level's bin is smaller by this factor, in quarters above 1 …
    pub(super) growth: u8,
    /// … up to this one.
    pub(super) most: u8,
    /// Whether all values lie on the lattice `origin + k · bin`.
    pub(super) lattice: bool,
    /// Where predictions start; a value of the field.
    pub(super) origin: f64,
    /// The least and the largest value.
    pub(super) range: (f64, f64),
}

/// Bytes of the parameters before the values.
const BYTES: usize = 4 + 8;

impl Parameters {
    /// Appends the parameters.
    pub(super) fn write<T: Element>(&self, out: &mut Vec<u8>) {
        let (kind, axes, order) = match self.predictor {
            Predictor::Levels { frozen } => (0, frozen, 0),
            Predictor::Raster { axes, order } => (1, axes, order),
        };
        out.push(kind | u8::from(self.mixing) << 1 | u8::from(self.lattice) << 2 | order << 4);
        out.push(axes);
        out.extend_from_slice(&[self.growth, self.most]);
        out.extend_from_slice(&self.bin.to_le_bytes());
        for value in [self.origin, self.range.0, self.range.1] {
            out.extend_from_slice(&T::from_f64(value).to_bits_u64().to_le_bytes()[..T::DTYPE.size()]);
        }
    }

    /// Reads what [`Parameters::write`] wrote, and returns what follows.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(super) fn read<T: Element>(bytes: &[u8]) -> Result<(Self, &[u8])> {
        let (head, rest) = bytes
            .split_at_checked(BYTES + 3 * T::DTYPE.size())
            .ok_or_else(|| Error::corrupt("a section of closed-loop prediction ends before its parameters"))?;
        let bits = |at: usize, size: usize| {
            let mut wide = [0; 8];
            wide[..size].copy_from_slice(&head[at..at + size]);
            u64::from_le_bytes(wide)
        };
        let value = |k: usize| T::from_bits_u64(bits(BYTES + k * T::DTYPE.size(), T::DTYPE.size())).to_f64();
        let (kind, axes, order) = (head[0], head[1], head[0] >> 4);
        let predictor =
            if kind & 1 == 0 { Predictor::Levels { frozen: axes } } else { Predictor::Raster { axes, order } };
        let parameters = Self {
            predictor,
            mixing: kind & 2 != 0,
            lattice: kind & 4 != 0,
            growth: head[2],
            most: head[3],
            bin: f64::from_bits(bits(4, 8)),
            origin: value(0),
            range: (value(1), value(2)),
        };
        let sound = axes < 16
            && kind & 8 == 0
            && matches!((predictor, order), (Predictor::Levels { .. }, 0) | (Predictor::Raster { .. }, 1..=3))
            && parameters.bin > 0.0
            && parameters.bin.is_finite()
            && parameters.range.0 <= parameters.range.1
            && parameters.origin.is_finite();
        if !sound {
            return Err(Error::corrupt("the parameters of closed-loop prediction are out of range"));
        }
        Ok((parameters, rest))
    }

    /// The width of a bin at a level, 0 the finest.
    pub(super) fn bin_at(&self, level: u32) -> f64 {
        if self.lattice {
            return self.bin;
        }
        let (growth, most) = (1.0 + f64::from(self.growth) / 4.0, 1.0 + f64::from(self.most) / 4.0);
        let mut factor = 1.0f64;
        for _ in 0..level.min(40) {
            factor = (factor * growth).min(most);
        }
        self.bin / factor
    }
}
