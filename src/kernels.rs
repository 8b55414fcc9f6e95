//! The codec's kernels one by one, for their benchmarks (`benches/kernels`); no part of the library's interface.
//!
//! Working values are f32; frames are `[h][w]`, windows `[count][h][w]`.
#![allow(missing_docs)]

use crate::bytes::{Reader, Writer};
use crate::entropy::{AnyReader, Decoder, Encoder, TokenWriter};
use crate::error::Result;
use crate::field::{FieldStats, FieldView, MAX_DIMS, Normalisation, Shape, Specials};
use crate::options::Sentinels;
use crate::predict::transform;
use crate::residual::bands::{PlaneContext, Planes};
use crate::residual::contexts::{ContextModel, Mixing};
use crate::residual::kernels::Kernel;
use crate::residual::layout::{Layout, Magnitudes};
use crate::residual::quantise::{ROUNDING, Tally};
use crate::residual::tabled::{Coders, TableModel};
use crate::residual::wavelet::{forward, inverse};
use crate::window::{Cut, Segment, Source, WindowBox, scatter};

/// The wavelet on frames of one size.
pub struct Wavelet {
    layout: Layout,
    scratch: Vec<f32>,
}

impl Wavelet {
    pub fn new(h: usize, w: usize) -> Self {
        Self { layout: Layout::new(h, w), scratch: Vec::new() }
    }

    pub fn forward(&mut self, frame: &mut [f32]) {
        forward(frame, self.layout.h, self.layout.w, self.layout.levels, &mut self.scratch);
    }

    pub fn inverse(&mut self, frame: &mut [f32]) {
        inverse(frame, self.layout.h, self.layout.w, self.layout.levels, &mut self.scratch);
    }
}

/// The quantiser on planes of wavelet coefficients.
pub struct Quantiser {
    layout: Layout,
    step: f32,
}

impl Quantiser {
    pub fn new(h: usize, w: usize, step: f32) -> Self {
        Self { layout: Layout::new(h, w), step }
    }

    fn tally(&self, plane: &[f32], indices: &mut [i32]) -> Tally {
        f32::quantise(plane, self.step, ROUNDING as f32, indices).expect("indices of the working range")
    }

    /// Quantises a plane, without rate–distortion optimisation.
    pub fn quantise(&self, plane: &[f32], indices: &mut [i32]) {
        self.tally(plane, indices);
    }

    /// Quantises a plane, and sets indices to zero that cost more than they are worth.
    pub fn quantise_and_refine(&self, plane: &[f32], indices: &mut [i32]) {
        let mut tally = self.tally(plane, indices);
        f32::refine(plane, self.step, &self.layout, indices, &mut tally);
    }

    pub fn dequantise(&self, indices: &[i32], plane: &mut [f32]) {
        f32::dequantise(indices, self.step, Default::default(), plane);
    }
}

/// Which of the context coder's models runs.
#[derive(Clone, Copy, Debug)]
pub enum Contexts {
    /// One counter a bit, as at effort 0.
    Single,
    /// Several contexts, mixed.
    Mixed,
}

/// The context coder on windows of one size, each coded by itself.
pub struct ContextCoder {
    layout: Layout,
    contexts: Vec<PlaneContext>,
    start: ContextModel,
    magnitudes: Magnitudes,
}

impl ContextCoder {
    pub fn new(count: usize, h: usize, w: usize, contexts: Contexts) -> Self {
        let mixing = match contexts {
            Contexts::Single => Mixing::Off,
            Contexts::Mixed => Mixing::On,
        };
        let start = ContextModel::new(mixing);
        Self {
            layout: Layout::new(h, w),
            contexts: transform::contexts(count, 0, 1),
            start,
            magnitudes: Magnitudes::default(),
        }
    }

    pub fn encode(&mut self, indices: &mut [i32]) -> Vec<u8> {
        let planes = Planes { layout: &self.layout, contexts: &self.contexts, previous: None, finest: 1 };
        let mut coder = Encoder::new(Vec::new());
        let coded = self.start.clone().code(&mut coder, indices, &planes, &mut self.magnitudes);
        coded.expect("encoding does not fail");
        coder.finish()
    }

    /// # Errors
    /// `Corrupt`.
    pub fn decode(&mut self, bytes: &[u8], indices: &mut [i32]) -> Result<()> {
        let planes = Planes { layout: &self.layout, contexts: &self.contexts, previous: None, finest: 1 };
        let mut coder = Decoder::new(bytes);
        self.start.clone().code(&mut coder, indices, &planes, &mut self.magnitudes)?;
        coder.finish()
    }
}

/// The table coder on windows of one size, each coded by itself.
pub struct TableCoder {
    layout: Layout,
    contexts: Vec<PlaneContext>,
    start: TableModel,
    magnitudes: Magnitudes,
    tokens: TokenWriter,
}

impl TableCoder {
    pub fn new(count: usize, h: usize, w: usize) -> Self {
        Self {
            layout: Layout::new(h, w),
            contexts: transform::contexts(count, 0, 1),
            start: TableModel::new(),
            magnitudes: Magnitudes::default(),
            tokens: TokenWriter::default(),
        }
    }

    /// The code of blocks' flags, and that of tokens.
    pub fn encode(&mut self, indices: &mut [i32]) -> [Vec<u8>; 2] {
        let planes = Planes { layout: &self.layout, contexts: &self.contexts, previous: None, finest: 1 };
        let mut flags = Encoder::new(Vec::new());
        let coders = Coders { flags: &mut flags, tokens: &mut self.tokens };
        let coded = self.start.clone().code(coders, indices, &planes, &mut self.magnitudes);
        coded.expect("encoding does not fail");
        let mut tokens = Writer::default();
        self.tokens.finish(&mut tokens);
        [flags.finish(), tokens.bytes]
    }

    /// # Errors
    /// `Corrupt`.
    pub fn decode(&mut self, [flags, tokens]: &[Vec<u8>; 2], indices: &mut [i32]) -> Result<()> {
        let planes = Planes { layout: &self.layout, contexts: &self.contexts, previous: None, finest: 1 };
        let mut flags = Decoder::new(flags);
        let mut model = self.start.clone();
        match AnyReader::new(&mut Reader::new(tokens))? {
            AnyReader::One(mut tokens) => {
                let coders = Coders { flags: &mut flags, tokens: &mut tokens };
                model.code(coders, indices, &planes, &mut self.magnitudes)?;
                tokens.finish()?;
            }
            AnyReader::Strip(mut tokens) => {
                let coders = Coders { flags: &mut flags, tokens: &mut tokens };
                model.code(coders, indices, &planes, &mut self.magnitudes)?;
                tokens.finish()?;
            }
        }
        flags.finish()
    }
}

/// Copying of a field, tile by tile, between the caller's memory and working arrays.
pub struct Copier {
    cut: Cut,
    strides: [usize; MAX_DIMS],
    normalisation: Normalisation,
    specials: Specials,
    frames: Vec<f32>,
    classes: Vec<u8>,
    /// As many values as the largest tile has.
    decoded: Vec<f32>,
}

impl Copier {
    /// For a field of three axes.
    ///
    /// # Errors
    /// `InvalidArgument` for sizes that are no shape, or do not fit the values.
    pub fn new(values: &[f32], dims: [usize; 3]) -> Result<Self> {
        let shape = Shape::new(&dims)?;
        let stats = FieldStats::of(&FieldView::new(values, &dims)?, None, &Sentinels::Auto);
        let normalisation = Normalisation::of(&stats).expect("a field that is not constant");
        let cut = Cut::new(&shape, None, None)?;
        let largest = cut.segments.iter().map(Segment::points).max().unwrap_or(0);
        Ok(Self {
            cut,
            strides: shape.contiguous_strides(),
            normalisation,
            specials: Specials::new(),
            frames: Vec::new(),
            classes: Vec::new(),
            decoded: vec![0.0; largest],
        })
    }

    /// Copies every tile to working values.
    pub fn gather(&mut self, values: &[f32]) {
        for segment in &self.cut.segments {
            let placement = segment.place(&self.strides, self.cut.strides(&self.strides));
            let (frames, classes) = (&mut self.frames, &mut self.classes);
            let source = Source { values, segment, placement };
            source.normalised(segment.count, &self.normalisation, &self.specials, frames, classes);
        }
    }

    /// Copies tiles as if they had been decoded to the caller's array.
    pub fn scatter(&self, out: &mut [f32]) {
        for segment in &self.cut.segments {
            let place = segment.place(&self.strides, self.cut.strides(&self.strides));
            let size = segment.sizes();
            let decoded = &self.decoded[..size.iter().product()];
            scatter(decoded, WindowBox { dims: size, from: [0; 4], size }, out, place);
        }
    }
}
