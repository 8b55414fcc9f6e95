//! What a graph takes and gives: names, shapes, and the tensors themselves. Known with and without ONNX Runtime.

use super::manifest::{Enhancer, Interpolator, Latents};

/// The length of an axis as a graph declares it; `None`: any.
pub(crate) type Axis = Option<usize>;

/// The name and axes of an input or output; all are f32.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    /// Its name in the graph.
    pub name: &'static str,
    /// Its axes.
    pub axes: Vec<Axis>,
}

/// A graph of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GraphKind {
    /// Two frames in (and two outer ones), the one half-way out.
    Interpolator,
    /// `x` → `y`.
    Encoder,
    /// gain · `y` → `z`.
    HyperEncoder,
    /// `z` → mean and scale index; integers.
    HyperDecoder,
    /// `y` → `x`.
    Decoder,
    /// `y` → `x` at half resolution.
    DecoderHalf,
    /// `y` → `x` at a quarter.
    DecoderQuarter,
    /// Decoded frames in, a correction of the middle one out.
    Enhancer,
    /// The same, larger.
    FineEnhancer,
}

impl GraphKind {
    /// Every kind, in the order of their discriminants.
    pub const ALL: [Self; 9] = [
        Self::Interpolator,
        Self::Encoder,
        Self::HyperEncoder,
        Self::HyperDecoder,
        Self::Decoder,
        Self::DecoderHalf,
        Self::DecoderQuarter,
        Self::Enhancer,
        Self::FineEnhancer,
    ];

    /// Inputs and outputs of the interpolator.
    pub fn interpolator_ports(_part: &Interpolator) -> (Vec<Port>, Vec<Port>) {
        let planes = Port { name: "planes", axes: vec![None, Some(6), None, None] };
        let cond = Port { name: "cond", axes: vec![None, Some(4)] };
        (vec![planes, cond], vec![Port { name: "correction", axes: vec![None, Some(1), None, None] }])
    }

    /// Inputs and outputs of either enhancer.
    pub fn enhancer_ports(part: &Enhancer) -> (Vec<Port>, Vec<Port>) {
        let frames = Port { name: "frames", axes: vec![None, Some(part.frames), None, None] };
        let cond = Port { name: "cond", axes: vec![None, Some(1)] };
        (vec![frames, cond], vec![Port { name: "correction", axes: vec![None, Some(1), None, None] }])
    }

    /// Inputs and outputs of a graph of the latents' set.
    pub fn latents_ports(self, part: &Latents) -> (Vec<Port>, Vec<Port>) {
        let port = |name, channels| Port { name, axes: vec![None, Some(channels), None, None] };
        let (frames, y, z) = (part.frames, part.y_channels, part.z_channels);
        match self {
            Self::Interpolator | Self::Enhancer | Self::FineEnhancer => (Vec::new(), Vec::new()),
            Self::Encoder => (vec![port("x", frames)], vec![port("y", y)]),
            Self::HyperEncoder => (vec![port("y_g", y)], vec![port("z", z)]),
            Self::HyperDecoder => (vec![port("z_hat", z)], vec![port("mean", y), port("scale_index", y)]),
            Self::Decoder | Self::DecoderHalf | Self::DecoderQuarter => {
                (vec![port("y_hat", y)], vec![port("x_hat", frames)])
            }
        }
    }
}

/// A row-major f32 tensor to feed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Feed<'a> {
    /// Length of each axis.
    pub shape: &'a [usize],
    /// The values.
    pub values: &'a [f32],
}
