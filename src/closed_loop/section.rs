//! What stands before the coded indices: how a segment is predicted and quantised.

use crate::bytes::{Reader, Writer};
use crate::error::{Error, Result};
use crate::field::Element;

/// How points are predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Predictor {
    /// By levels, from both sides; axes that are frozen (bits) have all of their indices at every level.
    Levels { frozen: u8 },
    /// In C order, by Lorenzo's predictor along `axes` (bits) of order 1 or 2.
    Lorenzo { axes: u8, order: u8 },
    /// In C order, by weights fitted to each window; near its ends by Lorenzo's predictor along `axes` of order 2.
    Fitted { axes: u8 },
}

impl Predictor {
    /// Its name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Levels { .. } => "levels",
            Self::Lorenzo { .. } => "lorenzo",
            Self::Fitted { .. } => "fitted",
        }
    }
}

/// The parameters of a coded segment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Parameters {
    pub(crate) predictor: Predictor,
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
    /// Whether predictions are offset so that errors cancel.
    pub(super) balanced: bool,
    /// Where predictions start; a value of the field.
    pub(super) origin: f64,
}

/// The largest growth and limit of it that four bits hold.
const NIBBLE: u8 = 15;
/// The flag of contexts that are mixed, in the byte of a segment's prediction mode; and that of a lattice.
const MIXING: u8 = 1 << 4;
const LATTICE: u8 = 1 << 5;
/// The flag of predictions that are offset, there too.
pub(crate) const BALANCED: u8 = 1 << 6;

impl Parameters {
    /// The same with predictions that are offset so that errors cancel; `None` on a lattice, where there are none.
    pub(crate) fn balanced(&self) -> Option<Self> {
        (!self.lattice).then_some(Self { balanced: true, ..*self })
    }

    /// Appends the parameters; `mode` is the number of the prediction mode.
    pub(crate) fn write<T: Element>(&self, mode: u8, out: &mut Writer) {
        let (kind, axes) = match self.predictor {
            Predictor::Levels { frozen } => (0, frozen),
            Predictor::Lorenzo { axes, order } => (order, axes),
            Predictor::Fitted { axes } => (3, axes),
        };
        let flags = [(self.mixing, MIXING), (self.lattice, LATTICE), (self.balanced, BALANCED)];
        out.u8(flags.iter().fold(mode, |mode, &(is_set, flag)| mode | if is_set { flag } else { 0 }));
        out.u8(kind | axes << 4);
        out.u8(self.growth | self.most << 4);
        out.f64(self.bin);
        let origin = T::from_f64(self.origin).to_bits_u64().to_le_bytes();
        out.bytes.extend_from_slice(&origin[..T::DTYPE.size()]);
    }

    /// Reads what [`Parameters::write`] wrote.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(crate) fn read<T: Element>(reader: &mut Reader<'_>) -> Result<Self> {
        let (flags, predictor, growth, bin) = (reader.u8()?, reader.u8()?, reader.u8()?, reader.f64()?);
        let mut origin = [0; 8];
        origin[..T::DTYPE.size()].copy_from_slice(reader.bytes(T::DTYPE.size())?);
        let origin = T::from_bits_u64(u64::from_le_bytes(origin)).to_f64();
        let axes = predictor >> 4;
        let parameters = Self {
            predictor: match predictor & 3 {
                0 => Predictor::Levels { frozen: axes },
                3 => Predictor::Fitted { axes },
                order => Predictor::Lorenzo { axes, order },
            },
            mixing: flags & MIXING != 0,
            lattice: flags & LATTICE != 0,
            balanced: flags & BALANCED != 0,
            growth: growth & NIBBLE,
            most: growth >> 4,
            bin,
            origin,
        };
        let sound = axes < 8 && predictor & 12 == 0 && flags >> 7 == 0 && origin.is_finite();
        if !(sound && bin > 0.0 && bin.is_finite()) {
            return Err(Error::corrupt("the parameters of closed-loop prediction are out of range"));
        }
        Ok(parameters)
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
