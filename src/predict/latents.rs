//! The latents' host side: a window's tile through the autoencoder and back (`docs/model-package.md`).
//!
//! In: a tile of a window, `[frames, h, w]`, normalised by the field to [−1, 1]. Out: its section's bytes and the
//! reconstruction that a decoder gives from them, at full, half or quarter resolution.
//!
//! Everything that decoding of the entropy-coded bytes depends on is an integer: the tables, the hyper-latents, and
//! what the hyper-decoder makes of them. What the decoder graph makes of the values is float, and differs in its last
//! bits between devices: the caller snaps it ([`Model::snap`]) before building on it.

use super::tiles::crop;
use crate::entropy::{LATENTS_MAX_VALUE, LatentsDecoder, LatentsEncoder};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Feed, GraphKind, Latents, Model, Tables, Y_ROWS};

/// The largest magnitude of a hyper-latent.
const MAX_Z: i32 = 127;
/// The largest magnitude of a mean, in [`MEAN_UNITS`]ths.
const MAX_MEAN: f32 = (1 << 16) as f32;
/// Means are integers in this fraction of a symbol.
const MEAN_UNITS: f32 = 16.0;

/// A tile's section: the index of its gain (1 byte), then its hyper-latents and latents, entropy-coded together.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Section<'a> {
    gain_index: u8,
    coded: &'a [u8],
}

impl<'a> Section<'a> {
    fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + self.coded.len());
        bytes.push(self.gain_index);
        bytes.extend_from_slice(self.coded);
        bytes
    }

    fn read(bytes: &'a [u8]) -> Result<Self> {
        let (gain_index, coded) = bytes.split_first().ok_or_else(|| Error::corrupt("latents: the section is empty"))?;
        Ok(Self { gain_index: *gain_index, coded })
    }
}

/// The sizes of a tile's tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Geometry {
    /// Frames, rows and columns of the tile itself.
    frames: usize,
    h: usize,
    w: usize,
    /// Rows and columns with padding.
    rows: usize,
    columns: usize,
    /// `[1, Cy, rows / 16, columns / 16]`, as an example.
    y: [usize; 4],
    /// `[1, Cz, rows / 64, columns / 64]`.
    z: [usize; 4],
}

impl Geometry {
    fn new(part: &Latents, frames: usize, h: usize, w: usize) -> Result<Self> {
        let fits = |n: usize| (1..=part.max_tile).contains(&n);
        if !fits(h) || !fits(w) || !(1..=part.frames).contains(&frames) {
            return Err(Error::invalid(format!(
                "a tile of {frames} frames of {h}x{w} does not fit the model's {} frames of {}x{}",
                part.frames, part.max_tile, part.max_tile
            )));
        }
        let (rows, columns) = (h.next_multiple_of(part.align), w.next_multiple_of(part.align));
        let at = |channels: usize, factor: usize| [1, channels, rows / factor, columns / factor];
        let (y, z) = (at(part.y_channels, part.y_downsample), at(part.z_channels, part.z_downsample));
        Ok(Self { frames, h, w, rows, columns, y, z })
    }
}

/// The encoder graph's output for a tile; coding it with one gain after another runs that graph once.
pub(crate) struct Analysis {
    geometry: Geometry,
    y: Vec<f32>,
}

/// The hyper-decoder's mean and scale of every element of `y`, as integers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Prior {
    /// In sixteenths of a symbol.
    mean: Vec<i32>,
    scale_index: Vec<u8>,
}

/// Runs the encoder on a tile `x`, `[frames, h, w]`; short windows repeat their last frame, edges are reflected.
///
/// # Errors
/// `InvalidArgument` where the tile does not fit the model, else as [`Model::graph`].
pub(crate) fn analyse(model: &Model, x: &[f32], frames: usize, h: usize, w: usize) -> Result<Analysis> {
    let part = model.latents()?;
    let geometry = Geometry::new(part, frames, h, w)?;
    if x.len() != frames * h * w {
        return Err(Error::internal(format!("{} values for a tile of {frames} frames of {h}x{w}", x.len())));
    }
    let (rows, columns) = (geometry.rows, geometry.columns);
    let mut padded = Vec::with_capacity(part.frames * rows * columns);
    for frame in 0..part.frames {
        let frame = &x[frame.min(frames - 1) * h * w..][..h * w];
        crop(frame, (h, w), (0, 0), (rows, columns), &mut padded);
    }
    let feed = Feed { shape: &[1, part.frames, rows, columns], values: &padded };
    let y = run(model, GraphKind::Encoder, feed, [geometry.y])?;
    let [y] = y;
    Ok(Analysis { geometry, y })
}

impl Analysis {
    /// Codes the tile with a gain: its section's bytes, and a decoder's reconstruction from them, `[frames, h, w]`,
    /// not yet snapped.
    ///
    /// # Errors
    /// `InvalidArgument` for a gain that the model does not have, else as [`Model::graph`].
    pub fn encode(&self, model: &Model, gain_index: usize) -> Result<(Vec<u8>, Vec<f32>)> {
        let part = model.latents()?;
        let (index, gain) =
            u8::try_from(gain_index).ok().zip(part.gains.get(gain_index).copied()).ok_or_else(|| {
                Error::invalid(format!("gain {gain_index} is not one of the model's {}", part.gains.len()))
            })?;
        let scaled: Vec<f32> = self.y.iter().map(|y| y * gain).collect();
        let feed = Feed { shape: &self.geometry.y, values: &scaled };
        let [z] = run(model, GraphKind::HyperEncoder, feed, [self.geometry.z])?;
        let z: Vec<i32> = z.iter().map(|z| round(*z, MAX_Z)).collect();
        let prior = hyper_decode(model, &z, &self.geometry)?;
        let symbols: Vec<i32> = scaled
            .iter()
            .zip(&prior.mean)
            .map(|(y, mean)| round(y - *mean as f32 / MEAN_UNITS, LATENTS_MAX_VALUE))
            .collect();
        let coded = write_values(model.tables()?, &self.geometry, &z, &prior, &symbols)?;
        let reconstruction = synthesise(model, &self.geometry, &prior, &symbols, gain, 1)?;
        Ok((Section { gain_index: index, coded: &coded }.write(), reconstruction))
    }
}

/// Codes a tile `x`, `[frames, h, w]`, with a gain: its section's bytes and the reconstruction, not yet snapped.
///
/// # Errors
/// As [`analyse`] and [`Analysis::encode`].
#[cfg(test)]
pub(crate) fn encode_tile(
    model: &Model,
    x: &[f32],
    frames: usize,
    h: usize,
    w: usize,
    gain_index: usize,
) -> Result<(Vec<u8>, Vec<f32>)> {
    analyse(model, x, frames, h, w)?.encode(model, gain_index)
}

/// The reconstruction of a tile from its section's bytes, `[frames, ⌈h / scale⌉, ⌈w / scale⌉]`, not yet snapped;
/// `scale` is 1, 2 or 4.
///
/// # Errors
/// `Corrupt` for bytes that are no such section, `Model` where the package lacks the scale's decoder, `InvalidArgument`
/// where the tile does not fit the model.
pub(crate) fn decode_tile(
    model: &Model,
    bytes: &[u8],
    frames: usize,
    h: usize,
    w: usize,
    scale: usize,
) -> Result<Vec<f32>> {
    let part = model.latents()?;
    let geometry = Geometry::new(part, frames, h, w)?;
    let section = Section::read(bytes)?;
    let gain = *part.gains.get(usize::from(section.gain_index)).ok_or_else(|| {
        let (index, count) = (section.gain_index, part.gains.len());
        Error::corrupt(format!("latents: gain {index} is not one of the model's {count}"))
    })?;
    let (prior, symbols) =
        read_values(model.tables()?, &geometry, section.coded, |z| hyper_decode(model, z, &geometry))?;
    synthesise(model, &geometry, &prior, &symbols, gain, scale)
}

/// The nearest integer, ties to even, within ±`limit`; 0 for NaN.
fn round(value: f32, limit: i32) -> i32 {
    (value.round_ties_even() as i32).clamp(-limit, limit)
}

/// Runs a graph of one input on one tile.
fn run<const N: usize>(
    model: &Model,
    kind: GraphKind,
    feed: Feed<'_>,
    shapes: [[usize; 4]; N],
) -> Result<[Vec<f32>; N]> {
    let _span = tracing::debug_span!("latents_graph", ?kind).entered();
    let shapes = shapes.each_ref().map(|shape| shape.as_slice());
    let outputs = model.graph(kind)?.run(&[feed], &shapes)?;
    outputs.try_into().map_err(|_| Error::internal("a graph gave fewer outputs than asked for"))
}

/// Runs the hyper-decoder on hyper-latents.
fn hyper_decode(model: &Model, z: &[i32], geometry: &Geometry) -> Result<Prior> {
    let z: Vec<f32> = z.iter().map(|z| *z as f32).collect();
    let feed = Feed { shape: &geometry.z, values: &z };
    let [mean, scale_index] = run(model, GraphKind::HyperDecoder, feed, [geometry.y, geometry.y])?;
    Prior::new(&mean, &scale_index)
}

impl Prior {
    /// Checks that the graph's outputs are integers in their ranges.
    fn new(mean: &[f32], scale_index: &[f32]) -> Result<Self> {
        let integer = |value: f32, low: f32, high: f32| value.trunc() == value && (low..=high).contains(&value);
        let sound = mean.iter().all(|mean| integer(*mean, -MAX_MEAN, MAX_MEAN))
            && scale_index.iter().all(|index| integer(*index, 0.0, (Y_ROWS - 1) as f32));
        if !sound {
            let message = "the hyper-decoder gave values that are not integers in their ranges";
            return Err(Error::new(ErrorKind::Model, message));
        }
        let mean = mean.iter().map(|mean| *mean as i32).collect();
        Ok(Self { mean, scale_index: scale_index.iter().map(|index| *index as u8).collect() })
    }
}

/// Entropy-codes the hyper-latents by channel, then the latents by scale index.
fn write_values(tables: &Tables, geometry: &Geometry, z: &[i32], prior: &Prior, symbols: &[i32]) -> Result<Vec<u8>> {
    let mut encoder = LatentsEncoder::default();
    for (channel, values) in z.chunks_exact(geometry.z[2] * geometry.z[3]).enumerate() {
        values.iter().for_each(|value| encoder.put(tables.z(channel), *value));
    }
    for (value, scale_index) in symbols.iter().zip(&prior.scale_index) {
        encoder.put(tables.y(usize::from(*scale_index)), *value);
    }
    encoder.finish()
}

/// Reads the values of [`write_values`]; `prior` gives the latents' prior from the hyper-latents.
fn read_values(
    tables: &Tables,
    geometry: &Geometry,
    bytes: &[u8],
    prior: impl FnOnce(&[i32]) -> Result<Prior>,
) -> Result<(Prior, Vec<i32>)> {
    let mut decoder = LatentsDecoder::new(bytes)?;
    let plane = geometry.z[2] * geometry.z[3];
    let z: Vec<i32> =
        (0..geometry.z[1] * plane).map(|index| decoder.get(tables.z(index / plane), MAX_Z)).collect::<Result<_>>()?;
    let prior = prior(&z)?;
    let rows = prior.scale_index.iter().map(|index| tables.y(usize::from(*index)));
    let symbols = rows.map(|row| decoder.get(row, LATENTS_MAX_VALUE)).collect::<Result<_>>()?;
    decoder.finish()?;
    Ok((prior, symbols))
}

/// Runs the decoder of a scale on the quantised latents and cuts the padding off.
fn synthesise(
    model: &Model,
    geometry: &Geometry,
    prior: &Prior,
    symbols: &[i32],
    gain: f32,
    scale: usize,
) -> Result<Vec<f32>> {
    let part = model.latents()?;
    let kind = match scale {
        1 => GraphKind::Decoder,
        2 => GraphKind::DecoderHalf,
        4 => GraphKind::DecoderQuarter,
        _ => return Err(Error::invalid(format!("scale {scale} is not known; expected 1, 2 or 4"))),
    };
    let y: Vec<f32> = symbols
        .iter()
        .zip(&prior.mean)
        .map(|(symbol, mean)| (*symbol as f32 + *mean as f32 / MEAN_UNITS) / gain)
        .collect();
    let (rows, columns) = (geometry.rows / scale, geometry.columns / scale);
    let feed = Feed { shape: &geometry.y, values: &y };
    let [padded] = run(model, kind, feed, [[1, part.frames, rows, columns]])?;
    let (h, w) = (geometry.h.div_ceil(scale), geometry.w.div_ceil(scale));
    let mut out = Vec::with_capacity(geometry.frames * h * w);
    for frame in padded.chunks_exact(rows * columns).take(geometry.frames) {
        for line in frame.chunks_exact(columns).take(h) {
            out.extend(line[..w].iter().map(|value| if value.is_finite() { *value } else { 0.0 }));
        }
    }
    Ok(out)
}

#[cfg(all(test, feature = "onnx"))]
mod tests;
