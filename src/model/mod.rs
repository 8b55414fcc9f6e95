//! The foundation model: packages, ONNX Runtime, and sessions.
//!
//! In: options, or the name and hash that a stream stores. Out: a `Model`, loaded once per process for a package,
//! device and number of threads, usable from several threads at once. Nothing here knows what the graphs are for: the
//! host sides of their contracts (`docs/model-package.md`) are in `predict`.
//!
//! | module | what it is for |
//! | --- | --- |
//! | `manifest`, `tables` | the package's files, parsed and checked |
//! | `onnx` | what a graph may be, and what running it may take |
//! | `package`, `places` | packages in folders and inside the library; the search path |
//! | `ranks` | this process among the node's others: its GPU, its threads |
//! | `runtime` | ONNX Runtime, loaded while the program runs |
//! | `graph`, `session`, `setup` | inputs and outputs of graphs; a graph made ready on a device; how it is made ready |

#[cfg(all(test, feature = "onnx"))]
pub(crate) mod exactness;
mod graph;
mod manifest;
mod onnx;
mod package;
mod places;
mod ranks;
#[cfg_attr(not(feature = "onnx"), allow(dead_code))] // no device runs graphs in such a build
mod setup;
mod tables;
#[cfg(all(test, feature = "onnx"))]
pub(crate) mod testing;

#[cfg(not(feature = "onnx"))]
#[allow(dead_code)] // parts are there for the types of their callers only
mod absent;
#[cfg(feature = "onnx")]
mod runtime;
#[cfg(feature = "onnx")]
mod session;
#[cfg(not(feature = "onnx"))]
use absent as runtime;
#[cfg(not(feature = "onnx"))]
use absent as session;

pub use manifest::{Enhancer, Interpolator, Latents, Manifest};
pub use package::{FileBytes, MODEL_PATH, Package, STREAM_HASH_BYTES, Source, find};
pub use runtime::status;
pub use setup::RuntimeStatus;
pub use tables::{PRECISION, Row, Tables, Y_ROWS};

pub(crate) use graph::{Feed, GraphKind};
pub(crate) use ranks::threads;
pub(crate) use session::Graph;
pub(crate) use setup::Provider;

use crate::error::{Error, ErrorKind, Result};
use crate::fork_lock::ForkLock;
use crate::options::{Device, Options};
use package::find_for;
pub(crate) use package::{hex, is_installed, register};
use ranks::affinity;
use setup::Setup;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A package on a device, its graphs made ready at first use.
pub(crate) struct Model {
    package: Arc<Package>,
    /// Whether an archive carries it and it was found nowhere else.
    embedded: bool,
    provider: Provider,
    threads: usize,
    graphs: [Mutex<Option<Arc<Graph>>>; GraphKind::ALL.len()],
    tables: OnceLock<Result<Tables>>,
    #[cfg(test)]
    perturbation: std::sync::atomic::AtomicU32,
}

/// Models that are open in this process.
static MODELS: ForkLock<Option<HashMap<Key, Arc<Model>>>> = ForkLock::new(None);

/// What makes two models the same: the package's hash, the device and threads that were asked for, and the process.
type Key = ([u8; 32], Option<Option<Option<u32>>>, Option<usize>, u32);

fn key(hash: [u8; 32], options: &Options) -> Key {
    let device = match options.device {
        Device::Auto => None,
        Device::Cpu => Some(None),
        Device::Cuda(index) => Some(Some(index)),
    };
    // A process that was forked has none of the threads that sessions started before.
    (hash, device, options.threads, std::process::id())
}

impl Model {
    /// The model that `options` name: the folder of `options.model`, or the package compiled in. Costs a hash of the
    /// manifest where it is loaded already.
    ///
    /// # Errors
    /// `Model` for a package that is missing or damaged, `Runtime` where ONNX Runtime or the device is missing.
    pub fn open(options: &Options) -> Result<Arc<Self>> {
        let source = Source::of(options);
        Self::cached(&source, source.hash()?, options)
    }

    /// The model that a stream names by `name` and the first bytes of its hash, wherever on the search path it is.
    ///
    /// # Errors
    /// As [`Model::open`]; `Model` with the name, the hash and where it was looked for where it is not found.
    pub fn for_stream(name: &str, hash: &[u8; STREAM_HASH_BYTES], options: &Options) -> Result<Arc<Self>> {
        // What is open serves its streams, also where another package has taken its place on the disk since.
        if let Some(model) = Self::loaded(hash, options)? {
            return Ok(model);
        }
        let (source, hash) = find_for(name, hash, options)?;
        Self::cached(&source, hash, options)
    }

    fn loaded(hash: &[u8; STREAM_HASH_BYTES], options: &Options) -> Result<Option<Arc<Self>>> {
        let models = MODELS.lock()?;
        let trusted = |model: &Self| options.trust_embedded_model || !model.embedded;
        let mut known = models.iter().flatten().filter(|(known, model)| known.0.starts_with(hash) && trusted(model));
        Ok(known.find(|(known, _)| **known == key(known.0, options)).map(|(_, model)| Arc::clone(model)))
    }

    fn cached(source: &Source, hash: [u8; 32], options: &Options) -> Result<Arc<Self>> {
        // Held while loading, so that threads that start together load once.
        let mut models = MODELS.lock()?;
        let models = models.get_or_insert_default();
        let key = key(hash, options);
        if let Some(model) = models.get(&key) {
            return Ok(Arc::clone(model));
        }
        // The runtime first: without it there is no point in checking files.
        session::providers(options.device)?;
        let package = source.load()?;
        if *package.hash() != hash {
            return Err(Error::new(ErrorKind::Model, format!("model package {source:?} changed while it was read")));
        }
        let embedded = matches!(source, Source::Embedded(_));
        let model = Arc::new(Self { embedded, ..Self::new(package, options)? });
        models.insert(key, Arc::clone(&model));
        Ok(model)
    }

    fn new(package: Arc<Package>, options: &Options) -> Result<Self> {
        let (provider, may_fall_back) = session::providers(options.device)?;
        let mut model = Self {
            package,
            embedded: false,
            provider,
            threads: threads(options.threads),
            graphs: Default::default(),
            tables: OnceLock::new(),
            #[cfg(test)]
            perturbation: Default::default(),
        };
        let first = if model.has_interpolator() {
            GraphKind::Interpolator
        } else if model.has_latents() {
            GraphKind::Decoder
        } else if model.has_enhancer(GraphKind::Enhancer) {
            GraphKind::Enhancer
        } else {
            GraphKind::FineEnhancer
        };
        // Whether a GPU works is known only once a graph is on it.
        match model.graph(first) {
            Err(error) if may_fall_back => {
                tracing::info!(
                    reason = error.message(),
                    "device=auto: CUDA does not initialise, graphs run on the CPU"
                );
                model.provider = Provider::Cpu;
                model.graph(first)?;
            }
            result => drop(result?),
        }
        tracing::info!(
            model = model.name(),
            hash = hex(&model.hash()[..STREAM_HASH_BYTES]),
            provider = ?model.provider,
            threads = model.threads,
            "model ready"
        );
        Ok(model)
    }

    /// Its package.
    pub fn package(&self) -> &Arc<Package> {
        &self.package
    }

    /// The package's name.
    pub fn name(&self) -> &str {
        &self.package.manifest().name
    }

    /// The package's hash; streams store its first [`STREAM_HASH_BYTES`].
    pub fn hash(&self) -> &[u8; 32] {
        self.package.hash()
    }

    /// Whether the package has the interpolator.
    pub fn has_interpolator(&self) -> bool {
        self.package.manifest().interpolator.is_some()
    }

    /// Whether the package has the autoencoder's set.
    pub fn has_latents(&self) -> bool {
        self.package.manifest().latents.is_some()
    }

    /// Whether the package has the enhancer, or the larger one, `GraphKind::FineEnhancer`.
    pub fn has_enhancer(&self, kind: GraphKind) -> bool {
        self.enhancer(kind).is_ok()
    }

    /// Where its graphs run, for reports: `cpu` or `cuda:N`.
    pub fn device(&self) -> String {
        match self.provider {
            Provider::Cpu => "cpu".into(),
            Provider::Cuda(index) => format!("cuda:{index}"),
        }
    }

    /// The interpolator's entry in the manifest.
    ///
    /// # Errors
    /// `Model` where the package has none.
    pub fn interpolator(&self) -> Result<&Interpolator> {
        self.package.manifest().interpolator.as_ref().ok_or_else(|| self.lacks("interpolator"))
    }

    /// The autoencoder's entry in the manifest.
    ///
    /// # Errors
    /// `Model` where the package has none.
    pub fn latents(&self) -> Result<&Latents> {
        self.package.manifest().latents.as_ref().ok_or_else(|| self.lacks("latents"))
    }

    /// The enhancer's entry in the manifest, or the larger one's.
    ///
    /// # Errors
    /// `Model` where the package has none.
    pub fn enhancer(&self, kind: GraphKind) -> Result<&Enhancer> {
        let manifest = self.package.manifest();
        match kind {
            GraphKind::FineEnhancer => manifest.enhancer_fine.as_ref().ok_or_else(|| self.lacks("enhancer_fine")),
            _ => manifest.enhancer.as_ref().ok_or_else(|| self.lacks("enhancer")),
        }
    }

    /// The entropy tables of the latents.
    ///
    /// # Errors
    /// `Model` where the package has none, or they are not as the contract says.
    pub fn tables(&self) -> Result<&Tables> {
        let load = || {
            let part = self.latents()?;
            Tables::parse(self.package.file(&part.tables)?, part)
        };
        self.tables.get_or_init(load).as_ref().map_err(Clone::clone)
    }

    /// A graph, made ready at its first use.
    ///
    /// # Errors
    /// `Model` where the package has no such graph, or it is not as the contract says; `Runtime` where it does not
    /// load.
    pub fn graph(&self, kind: GraphKind) -> Result<Arc<Graph>> {
        let mut slot = self.graphs[kind as usize].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(graph) = &*slot {
            return Ok(Arc::clone(graph));
        }
        let (file, ports) = if kind == GraphKind::Interpolator {
            let part = self.interpolator()?;
            (&part.graph, GraphKind::interpolator_ports(part))
        } else if let GraphKind::Enhancer | GraphKind::FineEnhancer = kind {
            let part = self.enhancer(kind)?;
            (&part.graph, GraphKind::enhancer_ports(part))
        } else {
            let part = self.latents()?;
            let file = match kind {
                GraphKind::Interpolator | GraphKind::Enhancer | GraphKind::FineEnhancer | GraphKind::Encoder => {
                    &part.encoder
                }
                GraphKind::HyperEncoder => &part.hyper_encoder,
                GraphKind::HyperDecoder => &part.hyper_decoder,
                GraphKind::Decoder => &part.decoder,
                GraphKind::DecoderHalf => part.decoder_half.as_ref().ok_or_else(|| self.lacks("decoder_half"))?,
                GraphKind::DecoderQuarter => {
                    part.decoder_quarter.as_ref().ok_or_else(|| self.lacks("decoder_quarter"))?
                }
            };
            (file, kind.latents_ports(part))
        };
        // The hyper-decoder is small and exact everywhere: the CPU saves a round trip.
        let provider = if kind == GraphKind::HyperDecoder { Provider::Cpu } else { self.provider };
        let setup = Setup { provider, threads: self.threads, optimization: 3 };
        // Together, runs use no more threads than the process may.
        let limit = if provider == Provider::Cpu { affinity().div_ceil(self.threads) } else { 1 };
        let graph = Arc::new(Graph::new(file, self.package.file(file)?.clone(), ports, setup, limit)?);
        *slot = Some(Arc::clone(&graph));
        Ok(graph)
    }

    /// Tiles of `pixels` points that one run should take: few enough to bound memory, many enough to feed a GPU.
    pub fn batch(&self, pixels: usize) -> usize {
        let budget = match self.provider {
            Provider::Cpu => CPU_BATCH_PIXELS,
            Provider::Cuda(_) => GPU_BATCH_PIXELS,
        };
        (budget / pixels.max(1)).max(1)
    }

    fn lacks(&self, part: &str) -> Error {
        let (name, hash) = (self.name(), hex(&self.hash()[..STREAM_HASH_BYTES]));
        Error::new(ErrorKind::Model, format!("model '{name}' ({hash}) has no {part}"))
    }
}

/// Points of a run on the CPU: the largest tile of the default package.
const CPU_BATCH_PIXELS: usize = 256 * 256;
/// Points of a run on a GPU.
const GPU_BATCH_PIXELS: usize = 16 * CPU_BATCH_PIXELS;

/// Rounds `value` to the nearest multiple of `grid`, ties to even; `grid` is a power of two, so that the scaling is
/// exact.
pub(crate) fn snap(value: f32, grid: f32) -> f32 {
    (value / grid).round_ties_even() * grid
}

impl Model {
    /// Snaps every value to `grid` (a power of two, in the values' units), which is how float graphs' output becomes
    /// the same on every device.
    pub fn snap(&self, values: &mut [f32], grid: f32) {
        #[cfg(test)]
        self.perturb(values, grid);
        for value in values {
            *value = snap(*value, grid);
        }
    }

    /// From now on, [`Model::snap`] first moves every value by up to `fraction` of the grid, as another device's floats
    /// might; 0 ends it. A model opened with a number of threads that no other test uses is not shared with one.
    #[cfg(test)]
    pub fn set_perturbation(&self, fraction: f32) {
        self.perturbation.store(fraction.to_bits(), std::sync::atomic::Ordering::SeqCst);
    }

    #[cfg(test)]
    fn perturb(&self, values: &mut [f32], grid: f32) {
        let fraction = f32::from_bits(self.perturbation.load(std::sync::atomic::Ordering::SeqCst));
        if fraction == 0.0 {
            return;
        }
        let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ values.len() as u64;
        for value in values {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // Mostly the extremes, where a flip is likeliest, and some values between.
            let unit = match state >> 62 {
                0 => 1.0,
                1 => -1.0,
                _ => (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0,
            };
            *value += fraction * grid * unit;
        }
    }
}

#[cfg(test)]
mod tests;
