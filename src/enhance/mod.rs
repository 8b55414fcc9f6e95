//! The learnt enhancement: the last step of decoding, in which the foundation model's enhancer takes a part of the
//! quantiser's error from the frames.
//!
//! In: decoded frames in working units, whatever way they were predicted, and how noisy they are. Out: a correction of
//! each, snapped to the segment's grid. Predictions never see corrected frames. All arithmetic of the host is in a
//! fixed order, so that two machines differ by no more than their graphs do.

mod queue;

pub(crate) use queue::{Enhanced, Queue};

use crate::error::Result;
use crate::model::{Feed, GraphKind, Model};
use crate::predict::Step;
use crate::predict::fm::Memo;
use crate::predict::tiles::{Cover, Span, crop};

/// Pixels that neighbouring tiles share at least: twice the context that the graph sees well.
const OVERLAP: usize = 32;
/// Limits of the graph's condition.
const COND: [f64; 2] = [-4.0, 12.0];

/// How a segment's frames are enhanced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Enhancement {
    /// Root mean square error of the frames, in their unit.
    pub(crate) noise: Step,
    pub(crate) network: Network,
    pub(crate) views: Views,
}

/// Which of the package's enhancers runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    Small,
    /// The larger one.
    Fine,
}

impl Network {
    /// The first of those asked for that a package has.
    pub(crate) fn of(model: &Model, asked: &[Self]) -> Option<Self> {
        asked.iter().copied().find(|network| model.has_enhancer(network.graph()))
    }

    fn graph(self) -> GraphKind {
        match self {
            Self::Small => GraphKind::Enhancer,
            Self::Fine => GraphKind::FineEnhancer,
        }
    }
}

/// The number of turned views of the same frames that the graph sees; the mean of its outputs is the correction. The
/// mean of four has a tenth of a decibel less error than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Views {
    One = 1,
    Four = 4,
}

impl Views {
    /// For each view, whether frames, rows and columns are reversed.
    fn turns(self) -> &'static [[bool; 3]] {
        const TURNS: [[bool; 3]; 4] = [[false; 3], [true, false, true], [true, true, false], [false, true, true]];
        &TURNS[..self as usize]
    }
}

/// The enhancer for frames of one size and noise.
#[derive(Clone)]
pub(crate) struct Enhancer<'a> {
    model: &'a Model,
    /// Corrections in it are not computed again.
    memo: Option<&'a Memo>,
    h: usize,
    w: usize,
    /// Planes of each frame; where it is not 1, those around a plane in its frame are seen, and no other frame's.
    depth: usize,
    /// Frames that the graph sees.
    frames: usize,
    noise: f64,
    network: Network,
    views: Views,
    /// Corrections are snapped to its multiples.
    grid: f32,
    cover: Cover,
}

impl<'a> Enhancer<'a> {
    /// The enhancer for frames of `[h][w]`.
    ///
    /// # Errors
    /// `Model` where the package has none, or not the network.
    pub(crate) fn new(model: &'a Model, h: usize, w: usize, how: Enhancement, grid: f32) -> Result<Self> {
        let part = model.enhancer(how.network.graph())?;
        let cover = Cover::overlapping(h, w, part.align, part.max_tile, OVERLAP);
        let Enhancement { noise, network, views } = how;
        Ok(Self {
            model,
            memo: None,
            h,
            w,
            depth: 1,
            frames: part.frames,
            noise: noise.value(),
            network,
            views,
            grid,
            cover,
        })
    }

    /// Remembers corrections.
    pub(crate) fn with(mut self, memo: Option<&'a Memo>) -> Self {
        self.memo = memo;
        self
    }

    /// The same for the planes of frames of `depth`.
    pub(crate) fn of_volumes(self, depth: usize) -> Self {
        Self { depth, ..self }
    }

    /// How many frames before and after a frame its correction depends on.
    pub(crate) fn context(&self) -> usize {
        self.frames / 2
    }

    /// The first and the last of `count` frames, which follow the segment's frame `first`, that the one at `t` is seen
    /// with.
    fn ends(&self, first: usize, t: usize, count: usize) -> (usize, usize) {
        if self.depth == 1 {
            return (0, count - 1);
        }
        let volume = (first + t) / self.depth * self.depth;
        (volume.saturating_sub(first), (volume + self.depth - 1 - first).min(count - 1))
    }

    /// The corrections of the frames `wanted` of `frames [count][h][w]`, the first of which is the segment's frame
    /// `first`; the first and the last frame are repeated beyond the ends, those of each volume where they are its planes.
    ///
    /// # Errors
    /// As [`Model::graph`], and `Runtime` where a run fails.
    pub(crate) fn corrections(
        &self,
        frames: &[f32],
        first: usize,
        wanted: impl ExactSizeIterator<Item = usize>,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        let _span = tracing::debug_span!("enhance", frames = wanted.len(), h = self.h, w = self.w).entered();
        let n = self.h * self.w;
        let count = frames.len() / n;
        out.clear();
        out.resize(wanted.len() * n, 0.0);
        let limit = self.model.batch(self.cover.tile_len());
        let seen = |t: usize| {
            let (least, most) = self.ends(first, t, count);
            (t..t + self.frames).map(move |k| k.saturating_sub(self.context()).clamp(least, most))
        };
        let hashes: Vec<u64> = match self.memo {
            Some(_) => frames.chunks_exact(n).map(Memo::frame).collect(),
            None => Vec::new(),
        };
        let mut batch = Batch::default();
        // What the memo has to learn.
        let mut new = Vec::new();
        for (target, t) in wanted.enumerate() {
            if let Some(memo) = self.memo {
                let key = Memo::key(seen(t).map(|k| hashes[k]), self.noise);
                let slot = &mut out[target * n..][..n];
                if memo.recall(key, |known| slot.copy_from_slice(known.unwrap_or_default())).is_some() {
                    continue;
                }
                new.push((memo, key, target));
            }
            for tile in self.cover.tiles() {
                if batch.tiles.len() + self.views.turns().len() > limit {
                    self.run(&mut batch, out)?;
                }
                self.add(&mut batch, seen(t).map(|k| &frames[k * n..][..n]), tile, target);
            }
        }
        self.run(&mut batch, out)?;
        self.model.snap(out, self.grid);
        for (memo, key, target) in new {
            memo.keep(key, Some(out[target * n..][..n].to_vec()));
        }
        Ok(())
    }

    /// Adds a tile of the frames around the `index`th wanted one, unless they are the same everywhere.
    fn add<'f>(
        &self,
        batch: &mut Batch,
        seen: impl Iterator<Item = &'f [f32]>,
        (rows, columns): (Span, Span),
        index: usize,
    ) {
        let extent = (self.cover.rows.tile, self.cover.columns.tile);
        let start = batch.planes.len();
        for frame in seen {
            crop(frame, (self.h, self.w), (rows.start, columns.start), extent, &mut batch.planes);
        }
        let planes = &mut batch.planes[start..];
        let points = planes.len() as f64;
        let mean = sum(planes, |v| v) / points;
        let variance = sum(planes, |v| (v - mean) * (v - mean)) / points;
        if variance <= 0.0 || !variance.is_finite() {
            batch.planes.truncate(start);
            return;
        }
        let (mean, inverse) = (mean as f32, (1.0 / self.noise) as f32);
        planes.iter_mut().for_each(|v| *v = (*v - mean) * inverse);
        let cond = (libm::log(variance) / 2.0 - libm::log(self.noise)).clamp(COND[0], COND[1]);
        for &turn in self.views.turns() {
            if turn != [false; 3] {
                let seen = batch.planes[start..start + extent.0 * extent.1 * self.frames].to_vec();
                batch.planes.resize(batch.planes.len() + seen.len(), 0.0);
                let turned = batch.planes.len() - seen.len();
                turn_planes(&seen, extent, turn, &mut batch.planes[turned..]);
            }
            batch.cond.push(cond as f32);
            batch.tiles.push((rows, columns, index, turn));
        }
    }

    /// Runs the graph on the tiles, writes the corrections, and empties the batch.
    fn run(&self, batch: &mut Batch, out: &mut [f32]) -> Result<()> {
        if batch.tiles.is_empty() {
            return Ok(());
        }
        let (n, rows, columns) = (batch.tiles.len(), self.cover.rows.tile, self.cover.columns.tile);
        let inputs = [
            Feed { shape: &[n, self.frames, rows, columns], values: &batch.planes },
            Feed { shape: &[n, 1], values: &batch.cond },
        ];
        let outputs = self.model.graph(self.network.graph())?.run(&inputs, &[&[n, 1, rows, columns]])?;
        let unit = self.noise as f32 / self.views.turns().len() as f32;
        let mut turned = vec![0.0; rows * columns];
        for (&(down, across, index, turn), values) in batch.tiles.iter().zip(outputs[0].chunks_exact(rows * columns)) {
            // Turning twice is turning back.
            turn_planes(values, (rows, columns), turn, &mut turned);
            let values = &turned;
            for row in down.own_start..down.own_end {
                let line = &values[(row - down.start) * columns..][..columns];
                let line = &line[across.own_start - across.start..across.own_end - across.start];
                let target = &mut out[(index * self.h + row) * self.w + across.own_start..];
                for (slot, value) in target.iter_mut().zip(line) {
                    let value = value * unit;
                    *slot += if value.is_finite() { value } else { 0.0 };
                }
            }
        }
        *batch = Batch { planes: std::mem::take(&mut batch.planes), ..Default::default() };
        batch.planes.clear();
        Ok(())
    }
}

/// Sums `f` of every value, in lanes, since one sum would wait for itself.
fn sum(values: &[f32], f: impl Fn(f64) -> f64) -> f64 {
    const LANES: usize = 16;
    let mut lanes = [0.0; LANES];
    let (pieces, rest) = values.as_chunks::<LANES>();
    for piece in pieces {
        for (lane, &v) in lanes.iter_mut().zip(piece) {
            *lane += f(f64::from(v));
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|&v| f(f64::from(v))).sum::<f64>()
}

/// Tiles gathered for one run.
#[derive(Default)]
struct Batch {
    /// `[N, frames, rows, columns]`.
    planes: Vec<f32>,
    /// `[N, 1]`.
    cond: Vec<f32>,
    /// Where each tile lies, which of the wanted frames it belongs to, and how it was turned.
    tiles: Vec<(Span, Span, usize, [bool; 3])>,
}

/// Reverses the order of planes `[frames][rows][columns]`, of their rows and of their columns.
fn turn_planes(planes: &[f32], (rows, columns): (usize, usize), [time, down, across]: [bool; 3], out: &mut [f32]) {
    let frames = planes.len() / (rows * columns);
    let place = |k: usize, n: usize, reversed: bool| if reversed { n - 1 - k } else { k };
    for (k, target) in out.chunks_exact_mut(columns).enumerate() {
        let (t, y) = (place(k / rows, frames, time), place(k % rows, rows, down));
        let line = &planes[(t * rows + y) * columns..][..columns];
        target.copy_from_slice(line);
        if across {
            target.reverse();
        }
    }
}

#[cfg(all(test, feature = "onnx"))]
mod tests;
