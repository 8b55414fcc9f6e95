//! Where the foundation model meets the codec: the grid that its outputs are snapped to, the interpolator as the
//! hierarchical mode calls it, and the latents' tiles of a window.

use super::Step;
use super::hierarchical::Interpolator;
use super::interpolator::{References, correction};
use super::latents::{analyse, decode_tile};
use super::tiles::split;
use crate::bytes::{Reader, Writer};
use crate::error::{Error, Result};
use crate::field::Normalisation;
use crate::model::Model;
use crate::residual::real::Real;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The grid is at most the step over 2^GRID_BITS (docs/design.md, determinism).
const GRID_BITS: f64 = 12.0;

/// The power of two that the model's outputs are snapped to in a segment whose first step is `step`.
pub(crate) fn grid(step: Step) -> f32 {
    libm::exp2(libm::floor(libm::log2(step.value()) - GRID_BITS)) as f32
}

/// The finest grids that floats of devices are small beside, in working units: those of the interpolator and the
/// enhancer move by up to 1e-6 from one instruction set to another, and the decoder's, which span the range, by more.
/// Where a finer grid is asked for, the model stays out (docs/design.md, determinism).
pub(crate) const FINEST_GRID: f32 = 1.0 / (1 << 22) as f32;
pub(crate) const FINEST_GRID_OF_LATENTS: f32 = 2.0 * FINEST_GRID;

/// Frames are padded to multiples of so many rows and columns before a graph sees them, and to at most so many times
/// their points: else a graph's time goes into padding, and bytes that are not ours could ask for a thousand times the
/// work that their field is.
const PADDED_TO: usize = 32;
const PADDED_MOST: usize = 4;

/// Whether frames of `[h][w]` are large enough for the model.
pub(crate) fn takes(h: usize, w: usize) -> bool {
    h.next_multiple_of(PADDED_TO) * w.next_multiple_of(PADDED_TO) <= PADDED_MOST * h * w
}

/// How much larger than the grid the root mean square difference between two devices' outputs can be, where every value
/// of every graph differs by one grid step: the largest that tests have met, which the encoder's margin covers
/// (docs/design.md, determinism).
pub(crate) const DRIFT_GAIN: f64 = 3.0;

/// Corrections that graphs made while a segment was encoded, for the check that decodes it: the same frames at the same
/// step or noise have the same correction, and running the graph is most of the cost of either.
#[derive(Debug, Default)]
pub(crate) struct Memo(Mutex<HashMap<u64, Option<Vec<f32>>>>);

impl Memo {
    /// The key of frames' hashes and a number.
    pub(crate) fn key(frames: impl Iterator<Item = u64>, number: f64) -> u64 {
        let mut hasher = DefaultHasher::new();
        number.to_bits().hash(&mut hasher);
        frames.for_each(|frame| hasher.write_u64(frame));
        hasher.finish()
    }

    /// A frame's hash.
    pub(crate) fn frame(values: &[f32]) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write(bytemuck::cast_slice(values));
        hasher.finish()
    }

    fn of_references(references: &References<'_>, step: f64) -> u64 {
        let frames = [Some(references.a), Some(references.b), references.a2, references.b2];
        Self::key(frames.into_iter().map(|frame| frame.map_or(0, Self::frame)), step)
    }

    /// Calls `f` with the correction of a key, if the memo has it; with `None` where it knows that there is none.
    pub(crate) fn recall<O>(&self, key: u64, f: impl FnOnce(Option<&[f32]>) -> O) -> Option<O> {
        self.map().get(&key).map(|known| f(known.as_deref()))
    }

    /// Keeps a correction, or that there is none.
    pub(crate) fn keep(&self, key: u64, correction: Option<Vec<f32>>) {
        self.map().insert(key, correction);
    }

    /// The keys of all that is known.
    pub(crate) fn keys(&self) -> HashSet<u64> {
        self.map().keys().copied().collect()
    }

    /// Forgets corrections that will not be asked for again.
    pub(crate) fn forget(&self, keys: &HashSet<u64>) {
        self.map().retain(|key, _| !keys.contains(key));
    }

    fn map(&self) -> MutexGuard<'_, HashMap<u64, Option<Vec<f32>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The interpolator for frames of `[h][w]`, its correction snapped to `grid`; corrections in `memo` are not computed
/// again.
pub(crate) fn interpolator<'a>(
    model: &'a Model,
    h: usize,
    w: usize,
    grid: f32,
    memo: Option<&'a Memo>,
) -> Box<Interpolator<'a>> {
    Box::new(move |references: References<'_>, step: f64, out: &mut Vec<f32>| {
        let key = memo.map(|memo| (memo, Memo::of_references(&references, step)));
        let known = key.and_then(|(memo, key)| {
            memo.recall(key, |known| {
                out.clear();
                out.extend_from_slice(known.unwrap_or_default());
                known.is_some()
            })
        });
        if let Some(used) = known {
            return Ok(used);
        }
        let used = correction(model, &references, h, w, step as f32, out)?;
        if used {
            model.snap(out, grid);
        }
        if let Some((memo, key)) = key {
            memo.keep(key, used.then(|| out.clone()));
        }
        Ok(used)
    })
}

/// The model's tiles of a frame: first row, first column, rows, columns.
fn tiles(model: &Model, h: usize, w: usize) -> Result<Vec<[usize; 4]>> {
    let part = model.latents()?;
    let rows = split(h, part.align, part.max_tile);
    let columns = split(w, part.align, part.max_tile);
    Ok(rows.iter().flat_map(|r| columns.iter().map(|c| [r.start, c.start, r.len(), c.len()])).collect())
}

/// Working units to the model's: the field's values less its mean, over its range.
fn unit(normalisation: &Normalisation) -> f32 {
    (normalisation.scale() / (normalisation.max - normalisation.min)) as f32
}

/// A window's latents: their bytes, and the reconstruction in working units, snapped.
pub(crate) struct CodedLatents<R> {
    pub(crate) bytes: Vec<u8>,
    pub(crate) frames: Vec<R>,
}

/// The autoencoder for the windows of one segment.
#[derive(Clone, Copy)]
pub(crate) struct Autoencoder<'a> {
    pub(crate) model: &'a Model,
    /// Rows and columns of the segment's frames.
    pub(crate) size: [usize; 2],
    /// Of the field.
    pub(crate) normalisation: &'a Normalisation,
    /// Reconstructions are snapped to its multiples.
    pub(crate) grid: f32,
}

impl Autoencoder<'_> {
    /// Adds a tile's reconstruction, snapped, in working units, to a window's frames, `[frames][h][w]`.
    fn place<R: Real>(&self, reconstruction: &mut [f32], frames: &mut [R], [h, w]: [usize; 2], tile: [usize; 4]) {
        let [y0, x0, tile_h, tile_w] = tile;
        let unit = unit(self.normalisation);
        for v in reconstruction.iter_mut() {
            *v /= unit;
        }
        self.model.snap(reconstruction, self.grid);
        for t in 0..frames.len() / (h * w) {
            for y in 0..tile_h {
                let row = &mut frames[(t * h + y0 + y) * w + x0..][..tile_w];
                for (slot, &v) in row.iter_mut().zip(&reconstruction[(t * tile_h + y) * tile_w..]) {
                    *slot += R::from_f64(f64::from(v));
                }
            }
        }
    }
}

/// Runs a window `frames [count][h][w]` through the autoencoder with a gain.
///
/// # Errors
/// As the graphs'.
pub(crate) fn encode_latents<R: Real>(
    autoencoder: Autoencoder<'_>,
    frames: &[R],
    gain: usize,
) -> Result<CodedLatents<R>> {
    let Autoencoder { model, size: [h, w], normalisation, .. } = autoencoder;
    let count = frames.len() / (h * w);
    let unit = unit(normalisation);
    let mut out = CodedLatents { bytes: Vec::new(), frames: vec![R::default(); frames.len()] };
    let mut writer = Writer::default();
    for tile in tiles(model, h, w)? {
        let [y0, x0, tile_h, tile_w] = tile;
        let mut values = Vec::with_capacity(count * tile_h * tile_w);
        for t in 0..count {
            for y in 0..tile_h {
                let row = &frames[(t * h + y0 + y) * w + x0..][..tile_w];
                values.extend(row.iter().map(|v| v.to_f64() as f32 * unit));
            }
        }
        let (bytes, mut reconstruction) = analyse(model, &values, count, tile_h, tile_w)?.encode(model, gain)?;
        writer.varint(bytes.len() as u64);
        writer.bytes.extend_from_slice(&bytes);
        autoencoder.place(&mut reconstruction, &mut out.frames, [h, w], tile);
    }
    out.bytes = writer.bytes;
    Ok(out)
}

/// Reads a segment's latents window by window.
pub(crate) struct LatentReader<'a> {
    reader: Reader<'a>,
}

impl<'a> LatentReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes) }
    }

    /// Adds the next window's reconstruction, reduced by 2^`low` along rows and columns, to `frames` of that size.
    ///
    /// # Errors
    /// `Corrupt`, or those of the model.
    pub(crate) fn add<R: Real>(&mut self, autoencoder: Autoencoder<'_>, frames: &mut [R], low: usize) -> Result<()> {
        let Autoencoder { model, size: [h, w], .. } = autoencoder;
        let scale = 1 << low;
        let reduced = [h.div_ceil(scale), w.div_ceil(scale)];
        let count = frames.len() / (reduced[0] * reduced[1]);
        for tile in tiles(model, h, w)? {
            let length = self.reader.length()?;
            let bytes = self.reader.bytes(length)?;
            let mut reconstruction = decode_tile(model, bytes, count, tile[2], tile[3], scale)?;
            // Tiles start at multiples of every scale.
            autoencoder.place(&mut reconstruction, frames, reduced, tile.map(|n| n.div_ceil(scale)));
        }
        Ok(())
    }

    /// Leaves the next window out.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(crate) fn skip(&mut self, autoencoder: Autoencoder<'_>) -> Result<()> {
        let [h, w] = autoencoder.size;
        for _ in tiles(autoencoder.model, h, w)? {
            let length = self.reader.length()?;
            self.reader.bytes(length)?;
        }
        Ok(())
    }

    /// Checks that nothing is left over.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(crate) fn finish(&self) -> Result<()> {
        if self.reader.remaining() > 0 {
            return Err(Error::corrupt("latents are left over"));
        }
        Ok(())
    }
}
