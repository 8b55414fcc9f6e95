//! The hyper-decoder in every form that must give the same integers, for the test that compares them.

use super::setup::Setup;
use super::{FileBytes, Graph, GraphKind, Model, Provider};
use std::path::Path;

/// One way to compute the hyper-decoder.
pub(crate) struct Variant {
    /// What it is, for messages.
    pub name: String,
    /// The graph, ready to run.
    pub graph: Graph,
}

/// The model's own graph, the one in f64 and the one with its channels permuted, each on one and two threads and at
/// every level of graph optimisation. The latter two are exported together with the package (`tests/assets/hyper`).
pub(crate) fn hyper_decoders(model: &Model) -> Vec<Variant> {
    let part = model.latents().unwrap();
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/assets/hyper");
    let read = |name: &str| {
        FileBytes::Shared(std::fs::read(assets.join(name)).unwrap_or_else(|e| panic!("{name}: {e}")).into())
    };
    let files = [
        ("f32", model.package.file(&part.hyper_decoder).unwrap().clone()),
        ("f64", read("hyper_decoder_f64.onnx")),
        ("permuted", read("hyper_decoder_permuted.onnx")),
    ];
    let mut variants = Vec::new();
    for (kind, bytes) in files {
        for threads in [1, 2] {
            for optimization in 0..4 {
                let name = format!("{kind}, {threads} threads, optimisation {optimization}");
                let setup = Setup { provider: Provider::Cpu, threads, optimization };
                let ports = GraphKind::HyperDecoder.latents_ports(part);
                let graph = Graph::new(&name, bytes.clone(), ports, setup, 1).unwrap();
                variants.push(Variant { name, graph });
            }
        }
    }
    variants
}
