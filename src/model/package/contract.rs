//! The contract of a package's graphs (`docs/model-package.md`): inputs and outputs of the shapes that the manifest
//! says, and no more work between them than such graphs need. Looked at with the largest tile, before anything runs.

use super::super::graph::{GraphKind, Port};
use super::super::manifest::Manifest;
use super::super::onnx::{Plan, Shaped};
use crate::error::{Error, ErrorKind, Result};

/// A graph of a package: its file, its ports, and the points of a frame along an axis for each of its inputs' and
/// outputs'.
struct Part<'a> {
    file: &'a str,
    ports: (Vec<Port>, Vec<Port>),
    cells: (usize, usize),
    /// The edge of the largest tile.
    tile: usize,
}

fn parts(manifest: &Manifest) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    if let Some(part) = &manifest.interpolator {
        let ports = GraphKind::interpolator_ports(part);
        parts.push(Part { file: &part.graph, ports, cells: (1, 1), tile: part.max_tile });
    }
    for part in manifest.enhancer.iter().chain(&manifest.enhancer_fine) {
        let ports = GraphKind::enhancer_ports(part);
        parts.push(Part { file: &part.graph, ports, cells: (1, 1), tile: part.max_tile });
    }
    if let Some(part) = &manifest.latents {
        let (y, z) = (part.y_downsample, part.z_downsample);
        let all = [
            (Some(&part.encoder), GraphKind::Encoder, (1, y)),
            (Some(&part.hyper_encoder), GraphKind::HyperEncoder, (y, z)),
            (Some(&part.hyper_decoder), GraphKind::HyperDecoder, (z, y)),
            (Some(&part.decoder), GraphKind::Decoder, (y, 1)),
            (part.decoder_half.as_ref(), GraphKind::DecoderHalf, (y, 2)),
            (part.decoder_quarter.as_ref(), GraphKind::DecoderQuarter, (y, 4)),
        ];
        for (file, kind, cells) in all {
            let ports = kind.latents_ports(part);
            parts.extend(file.map(|file| Part { file, ports, cells, tile: part.max_tile }));
        }
    }
    parts
}

/// Checks every graph of a package.
///
/// # Errors
/// `Model` that names the file and says what is wrong; what `file` says.
pub(super) fn check<'a>(manifest: &Manifest, file: impl Fn(&str) -> Result<&'a [u8]>) -> Result<()> {
    for part in parts(manifest) {
        let plan = Plan::read(file(part.file)?).map_err(|error| error.context(part.file))?;
        let shapes = |ports: &[Port], cell: usize| -> Vec<(&'static str, Vec<usize>)> {
            let open = [1, 1, part.tile / cell, part.tile / cell];
            let dims = |port: &Port| port.axes.iter().zip(open).map(|(axis, open)| axis.unwrap_or(open)).collect();
            ports.iter().map(|port| (port.name, dims(port))).collect()
        };
        let (given, wanted) = (shapes(&part.ports.0, part.cells.0), shapes(&part.ports.1, part.cells.1));
        let given: Vec<Shaped<'_>> = given.iter().map(|(name, dims)| (*name, dims.as_slice())).collect();
        let wanted: Vec<Shaped<'_>> = wanted.iter().map(|(name, dims)| (*name, dims.as_slice())).collect();
        plan.check(&given, &wanted).map_err(|error| {
            Error::new(ErrorKind::Model, format!("{} is not as the manifest says: {}", part.file, error.message()))
        })?;
    }
    Ok(())
}
