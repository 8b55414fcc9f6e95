//! The header: everything about a field but its content.

use super::described::{read_bound, read_type_and_shape, write_bound, write_type_and_shape};
use super::segment::SectionKinds;
use crate::bound::Bound;
use crate::bytes::{Reader, Writer};
use crate::error::{Error, ErrorKind, Result};
use crate::field::{Axes, DType, Element, FEW_SPECIALS, Normalisation, Shape, Specials};
use crate::model::STREAM_HASH_BYTES;
use crate::window::Cut;
use std::num::NonZeroU16;

const MAGIC: &[u8; 4] = b"FPRS";
/// The format's newest version. A stream has the oldest one that knows all that it holds.
const VERSION: u16 = 9;
/// The version that closed-loop prediction came with.
const CLOSED_LOOP_SINCE: u16 = 2;
/// The version that repeats came with.
const REPEATS_SINCE: u16 = 3;
/// The version that clamping after corrections, and masked values of lossless streams, came with.
const CLAMPED_SINCE: u16 = 4;
/// The version that frames which are volumes came with.
const VOLUMES_SINCE: u16 = 5;
/// The version that indices coded by tables came with.
const TABLES_SINCE: u16 = 6;
/// The version that more than 15 special patterns came with.
const MANY_SPECIALS_SINCE: u16 = 7;
/// The version that closed-loop predictions which are offset, and another mean of the frame before, came with.
const BALANCED_SINCE: u16 = 8;
/// The version that corrections of enhanced frames came with.
const ENHANCED_CORRECTED_SINCE: u16 = 9;
/// The version that bounds relative at each point, and logarithms, came with.
const LOGARITHMS_SINCE: u16 = 9;
/// Values of a section of a lossless stream.
pub(crate) const LOSSLESS_CHUNK: usize = 1 << 18;
/// The same where values repeat: what is repeated may be far away.
pub(crate) const REPEATS_CHUNK: usize = 1 << 24;
/// Values whose signs are a section, beside logarithms.
pub(crate) const SIGNS_CHUNK: usize = 1 << 20;

/// Choices of axes that are named: frames of planes, or of volumes.
const OF_PLANES: u8 = 1;
const OF_VOLUMES: u8 = 2;

/// A name so common that it has a length of its own in place of its bytes: small streams notice.
const USUAL_NAME: &str = "default";
const USUAL: u8 = 255;

/// The model that a stream needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModelName {
    pub(crate) name: String,
    pub(crate) hash: [u8; STREAM_HASH_BYTES],
}

/// How the sections hold the field.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// No sections: every value has this bit pattern.
    Constant(u64),
    /// Runs of [`LOSSLESS_CHUNK`] values in C order; finite values that mark points without data.
    Lossless(Specials),
    /// Runs of [`REPEATS_CHUNK`] values in C order, copied from earlier ones where they repeat; values as above.
    Repeats(Specials),
    /// One section: the values' bits in C order, little-endian. For fields that nothing makes smaller. Values as above.
    Raw(Specials),
    /// One section for each segment of the cut.
    Segments {
        normalisation: Normalisation,
        specials: Specials,
        /// Whether working values are f64.
        double: bool,
        /// The checksum of the frame before the field, where its first windows are predicted from one.
        follows: Option<u32>,
        /// Frames of a segment, where it is not the usual number.
        segment: Option<NonZeroU16>,
        model: Option<ModelName>,
        /// What segments may be.
        kinds: SectionKinds,
        /// Whether values are within the field's range after corrections, too.
        clamped: bool,
    },
    /// A section for each run of [`SIGNS_CHUNK`] values in C order, then those of the logarithms.
    Logarithms(Box<Logarithms>),
}

/// A field held by the logarithms of its magnitudes.
#[derive(Clone, Debug)]
pub(crate) struct Logarithms {
    /// Patterns without a logarithm, in whose place NaNs stand.
    pub(crate) patterns: Specials,
    /// As many of those, from the first on, mark points without data.
    pub(crate) without_data: u8,
    /// The header of the field of logarithms.
    pub(crate) field: Header,
}

impl Logarithms {
    /// The patterns of points without data.
    pub(crate) fn data_less(&self) -> &[u64] {
        &self.patterns.patterns()[..usize::from(self.without_data)]
    }
}

/// A stream's header.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) dtype: DType,
    pub(crate) shape: Shape,
    pub(crate) axes: Option<Axes>,
    pub(crate) bound: Bound,
    /// Root mean square error over the range, and largest absolute error.
    pub(crate) nrmse: f64,
    pub(crate) max_abs_error: f64,
    /// max − min over the valid points.
    pub(crate) range: f64,
    pub(crate) content: Content,
}

impl Header {
    /// The format's version that the stream has.
    pub(crate) fn version(&self) -> u16 {
        match &self.content {
            Content::Segments { kinds, .. } if kinds.enhanced_corrected => ENHANCED_CORRECTED_SINCE,
            Content::Logarithms(_) => LOGARITHMS_SINCE,
            _ if matches!(self.bound, Bound::PwRel(_)) => LOGARITHMS_SINCE,
            Content::Segments { kinds, normalisation, .. } if kinds.balanced || normalisation.apart() => BALANCED_SINCE,
            Content::Lossless(specials)
            | Content::Repeats(specials)
            | Content::Raw(specials)
            | Content::Segments { specials, .. }
                if specials.patterns().len() > FEW_SPECIALS =>
            {
                MANY_SPECIALS_SINCE
            }
            Content::Segments { kinds: SectionKinds { tables: true, .. }, .. } => TABLES_SINCE,
            _ if self.axes.is_some_and(|axes| axes.planes.is_some()) => VOLUMES_SINCE,
            Content::Lossless(masked) | Content::Repeats(masked) | Content::Raw(masked) if !masked.is_empty() => {
                CLAMPED_SINCE
            }
            Content::Segments { clamped: true, .. } => CLAMPED_SINCE,
            Content::Segments { kinds: SectionKinds { closed_loop: true, .. }, .. } => CLOSED_LOOP_SINCE,
            Content::Repeats(_) => REPEATS_SINCE,
            _ => 1,
        }
    }

    /// How many sections follow.
    pub(crate) fn section_count(&self) -> Result<usize> {
        match &self.content {
            Content::Constant(_) => Ok(0),
            Content::Raw(_) => Ok(1),
            Content::Lossless(_) => Ok(self.shape.len().div_ceil(LOSSLESS_CHUNK)),
            Content::Repeats(_) => Ok(self.shape.len().div_ceil(REPEATS_CHUNK)),
            Content::Segments { segment, .. } => {
                Cut::count(&self.shape, self.axes, *segment).map_err(|e| Error::corrupt(e.message()))
            }
            Content::Logarithms(held) => {
                let own = self.shape.len().div_ceil(SIGNS_CHUNK);
                own.checked_add(held.field.section_count()?).ok_or_else(|| Error::corrupt("too many sections"))
            }
        }
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.bytes.extend_from_slice(MAGIC);
        out.u16(self.version());
        write_type_and_shape(out, self.dtype, &self.shape);
        match self.axes {
            None => out.u8(0),
            Some(axes) => {
                out.u8(if axes.planes.is_some() { OF_VOLUMES } else { OF_PLANES });
                for axis in axes.list() {
                    out.u8(axis as u8);
                }
            }
        }
        write_bound(out, &self.bound);
        out.f64(self.nrmse);
        out.f64(self.max_abs_error);
        out.f64(self.range);
        match &self.content {
            Content::Constant(bits) => {
                out.u8(0);
                pattern(out, self.dtype, *bits);
            }
            Content::Lossless(masked) => self.write_whole(out, 1, masked),
            Content::Raw(masked) => self.write_whole(out, 3, masked),
            Content::Repeats(masked) => self.write_whole(out, 4, masked),
            Content::Logarithms(held) => {
                out.u8(5);
                write_specials(out, self.dtype, &held.patterns);
                out.u8(held.without_data);
                held.field.write(out);
            }
            Content::Segments { normalisation, specials, double, follows, segment, model, clamped, .. } => {
                out.u8(2);
                out.f64(normalisation.mean);
                out.i16(normalisation.exponent);
                out.f64(normalisation.min);
                out.f64(normalisation.max);
                let apart = normalisation.apart();
                let flags = [*double, follows.is_some(), segment.is_some(), *clamped, apart];
                out.u8(flags.iter().enumerate().fold(0, |bits, (k, &flag)| bits | u8::from(flag) << k));
                if let Some(crc) = follows {
                    out.u32(*crc);
                }
                if apart {
                    out.f64(normalisation.reference_mean);
                }
                if let Some(segment) = segment {
                    out.u16(segment.get());
                }
                write_specials(out, self.dtype, specials);
                match model {
                    None => out.u8(0),
                    Some(model) => {
                        if model.name == USUAL_NAME {
                            out.u8(USUAL);
                        } else {
                            out.u8(model.name.len() as u8);
                            out.bytes.extend_from_slice(model.name.as_bytes());
                        }
                        out.bytes.extend_from_slice(&model.hash);
                    }
                }
            }
        }
    }

    /// The content of a stream without segments, and its masked values, where the version has any.
    fn write_whole(&self, out: &mut Writer, content: u8, masked: &Specials) {
        out.u8(content);
        if self.version() >= CLAMPED_SINCE {
            write_specials(out, self.dtype, masked);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        if reader.bytes(4).map_err(|_| Error::corrupt("not a fieldpress stream: shorter than its magic"))? != MAGIC {
            return Err(Error::corrupt("not a fieldpress stream: it does not begin with FPRS"));
        }
        let version = reader.u16()?;
        if !(1..=VERSION).contains(&version) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("the stream has format version {version}; this build reads versions up to {VERSION}"),
            ));
        }
        let (dtype, shape) = read_type_and_shape(reader)?;
        let ndim = shape.ndim();
        let axes = match reader.u8()? {
            0 => None,
            OF_PLANES => Some(Axes::from([reader.u8()?, reader.u8()?, reader.u8()?].map(usize::from))),
            OF_VOLUMES => Some(Axes::from([reader.u8()?, reader.u8()?, reader.u8()?, reader.u8()?].map(usize::from))),
            other => return Err(Error::corrupt(format!("choice of axes {other} is not known"))),
        };
        if let Some(axes) = axes {
            axes.check(ndim).map_err(|error| Error::corrupt(error.message()))?;
        }
        let bound = read_bound(reader)?;
        let [nrmse, max_abs_error, range] = [reader.f64()?, reader.f64()?, reader.f64()?];
        let content = match reader.u8()? {
            0 => Content::Constant(read_pattern(reader, dtype)?),
            1 => Content::Lossless(read_masked(reader, dtype, version)?),
            3 => Content::Raw(read_masked(reader, dtype, version)?),
            4 => Content::Repeats(read_masked(reader, dtype, version)?),
            2 => read_segments(reader, dtype, version)?,
            5 => Content::Logarithms(Box::new(read_logarithms(reader, dtype, &shape, axes)?)),
            other => return Err(Error::corrupt(format!("content {other} is not known"))),
        };
        let header = Self { dtype, shape, axes, bound, nrmse, max_abs_error, range, content };
        if header.version() != version {
            let known = header.version();
            return Err(Error::corrupt(format!("a stream of this content has version {known}, not {version}")));
        }
        Ok(header)
    }
}

/// What the header says of logarithms, of a field of this type, shape and these axes.
fn read_logarithms(reader: &mut Reader<'_>, dtype: DType, shape: &Shape, axes: Option<Axes>) -> Result<Logarithms> {
    let patterns = read_specials(reader, dtype)?;
    let without_data = reader.u8()?;
    if usize::from(without_data) > patterns.patterns().len() {
        return Err(Error::corrupt(format!(
            "{without_data} patterns of points without data; there are fewer patterns"
        )));
    }
    // Headers hold each other no deeper than this.
    let mut ahead = reader.clone();
    ahead.bytes(MAGIC.len())?;
    if ahead.u16()? >= LOGARITHMS_SINCE {
        return Err(Error::corrupt("logarithms are not held by logarithms"));
    }
    let field = Header::read(reader)?;
    let alone =
        !matches!(&field.content, Content::Segments { follows, model, .. } if follows.is_some() || model.is_some());
    if field.shape != *shape || field.axes != axes || !alone {
        return Err(Error::corrupt("logarithms are not a field of the same shape that stands alone"));
    }
    Ok(Logarithms { patterns, without_data, field })
}

/// What the header says of segments.
fn read_segments(reader: &mut Reader<'_>, dtype: DType, version: u16) -> Result<Content> {
    let mean = reader.f64()?;
    let exponent = reader.i16()?;
    let (min, max) = (reader.f64()?, reader.f64()?);
    if !mean.is_finite() || !(max - min).is_finite() || min > max || !(-1100..=1100).contains(&exponent) {
        return Err(Error::corrupt("the normalisation is not finite"));
    }
    let flags = reader.u8()?;
    let known = match version {
        BALANCED_SINCE.. => 31,
        CLAMPED_SINCE.. => 15,
        _ => 7,
    };
    if flags > known || flags & 18 == 16 {
        return Err(Error::corrupt(format!("working type {flags} is not known")));
    }
    let double = flags & 1 == 1;
    let follows = if flags & 2 != 0 { Some(reader.u32()?) } else { None };
    let reference_mean = if flags & 16 != 0 { reader.f64()? } else { mean };
    if !reference_mean.is_finite() || (flags & 16 != 0 && reference_mean.to_bits() == mean.to_bits()) {
        return Err(Error::corrupt("the mean of the frame before is not one of its own"));
    }
    let segment = if flags & 4 != 0 {
        let none = || Error::corrupt("segments of no frames");
        Some(NonZeroU16::new(reader.u16()?).ok_or_else(none)?)
    } else {
        None
    };
    let specials = read_specials(reader, dtype)?;
    let name = match reader.u8()? {
        0 => None,
        USUAL => Some(USUAL_NAME.to_owned()),
        length => {
            let name = std::str::from_utf8(reader.bytes(usize::from(length))?);
            Some(name.map_err(|_| Error::corrupt("the model's name is not text"))?.to_owned())
        }
    };
    let model = match name {
        None => None,
        Some(name) => {
            let hash = reader.bytes(STREAM_HASH_BYTES)?;
            Some(ModelName { name, hash: hash.try_into().expect("so many bytes were asked for") })
        }
    };
    let normalisation = Normalisation { mean, reference_mean, exponent, min, max };
    let kinds = SectionKinds {
        closed_loop: version >= CLOSED_LOOP_SINCE,
        tables: version >= TABLES_SINCE,
        balanced: version >= BALANCED_SINCE,
        enhanced_corrected: version >= ENHANCED_CORRECTED_SINCE,
    };
    let clamped = flags & 8 != 0;
    Ok(Content::Segments { normalisation, specials, double, follows, segment, model, kinds, clamped })
}

/// The masked values of a stream without segments.
fn read_masked(reader: &mut Reader<'_>, dtype: DType, version: u16) -> Result<Specials> {
    let masked = if version >= CLAMPED_SINCE { read_specials(reader, dtype)? } else { Specials::new() };
    let is_finite = |&bits: &u64| match dtype {
        DType::F32 => f32::from_bits_u64(bits).is_finite(),
        DType::F64 => f64::from_bits_u64(bits).is_finite(),
    };
    if masked.patterns().iter().all(is_finite) {
        Ok(masked)
    } else {
        Err(Error::corrupt("masked values that are not finite mark themselves"))
    }
}

fn write_specials(out: &mut Writer, dtype: DType, specials: &Specials) {
    out.u8(specials.patterns().len() as u8);
    for &bits in specials.patterns() {
        pattern(out, dtype, bits);
    }
}

fn read_specials(reader: &mut Reader<'_>, dtype: DType) -> Result<Specials> {
    let mut specials = Specials::new();
    let count = reader.u8()?;
    for _ in 0..count {
        if !specials.add(read_pattern(reader, dtype)?) {
            return Err(Error::corrupt("too many masked values"));
        }
    }
    if specials.patterns().len() != usize::from(count) {
        return Err(Error::corrupt("masked values that are the same"));
    }
    Ok(specials)
}

fn pattern(out: &mut Writer, dtype: DType, bits: u64) {
    out.bytes.extend_from_slice(&bits.to_le_bytes()[..dtype.size()]);
}

fn read_pattern(reader: &mut Reader<'_>, dtype: DType) -> Result<u64> {
    let mut bytes = [0; 8];
    bytes[..dtype.size()].copy_from_slice(reader.bytes(dtype.size())?);
    Ok(u64::from_le_bytes(bytes))
}
