//! Sessions of ONNX Runtime: a graph made ready to run on a device, its ports checked against the contract.
//!
//! In: a graph's bytes and the [`Port`]s it must have. Out: [`Graph::run`], usable from several threads at once, with
//! the shapes of what comes back checked.

use super::FileBytes;
use super::graph::{Axis, Feed, Port};
use super::onnx::{Plan, Shaped};
use super::ranks::default_gpu;
use super::runtime;
use super::setup::{Provider, Setup};
use crate::error::{Error, ErrorKind, Result};
use crate::fork_lock::ForkLock;
use crate::options::Device;
use ort::ep::cuda::ConvAlgorithmSearch;
use ort::ep::{CUDA, ExecutionProvider};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{Session, SessionInputValue};
use ort::value::{Outlet, TensorElementType, TensorRef, ValueType};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Sets of shapes that are remembered.
const SHAPES: usize = 32;

/// A graph made ready: one session, and more of them where several threads run it at once.
pub(crate) struct Graph {
    name: String,
    bytes: FileBytes,
    setup: Setup,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    plan: Plan,
    /// Shapes of inputs and outputs that a run may have.
    allowed: Mutex<Vec<Vec<usize>>>,
    pool: Mutex<Pool>,
    returned: Condvar,
}

struct Pool {
    idle: Vec<Session>,
    /// Sessions that exist, idle or busy.
    made: usize,
    limit: usize,
}

fn failed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Runtime, message)
}

fn lock(pool: &Mutex<Pool>) -> MutexGuard<'_, Pool> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The provider to try first for a device option, and whether the CPU may take its place.
pub(crate) fn providers(device: Device) -> Result<(Provider, bool)> {
    runtime::environment()?;
    let built = CUDA::is_available().unwrap_or(false);
    match device {
        Device::Cpu => Ok((Provider::Cpu, false)),
        Device::Auto if !built => Ok((Provider::Cpu, false)),
        Device::Auto => Ok((Provider::Cuda(default_gpu()), true)),
        Device::Cuda(_) if !built => Err(failed(format!(
            "device=cuda: the ONNX Runtime at {} was built without CUDA; install a build with it (the Python wheel \
             onnxruntime-gpu holds one) and set {} to it, or use device=cpu",
            runtime::location(),
            runtime::OWN_PATH
        ))),
        Device::Cuda(index) => Ok((Provider::Cuda(index.unwrap_or_else(default_gpu)), false)),
    }
}

fn builder(setup: Setup) -> ort::Result<SessionBuilder> {
    let environment = runtime::environment().map_err(ort::Error::wrap)?;
    let level = match setup.optimization {
        0 => GraphOptimizationLevel::Disable,
        1 => GraphOptimizationLevel::Level1,
        2 => GraphOptimizationLevel::Level2,
        _ => GraphOptimizationLevel::All,
    };
    let builder = Session::builder(environment)?
        .with_optimization_level(level)?
        .with_intra_threads(setup.threads)?
        .with_inter_threads(1)?
        // Threads that have nothing to do must not take the processor from those that have, here and in the simulation.
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?
        .with_deterministic_compute(true)?
        // Whatever the bytes look like: a file of the runtime's own format could not be checked.
        .with_config_entry("session.load_model_format", "ONNX")?;
    let Provider::Cuda(index) = setup.provider else { return Ok(builder) };
    // Reduced precision and kernels picked by timing would make results differ from run to run.
    let cuda = CUDA::default()
        .with_device_id(i32::try_from(index).unwrap_or(i32::MAX))
        .with_tf32(false)
        .with_conv_algorithm_search(ConvAlgorithmSearch::Default);
    Ok(builder.with_execution_providers([cuda.build().error_on_failure()])?)
}

/// A session of a graph, its ports not yet checked.
pub(crate) fn open_session(bytes: &[u8], setup: Setup) -> ort::Result<Session> {
    // One at a time: what the runtime locks while it makes a session stays locked in a child that is forked meanwhile.
    static OPENING: ForkLock<()> = ForkLock::new(());
    let _opening = OPENING.lock().map_err(ort::Error::wrap)?;
    builder(setup)?.commit_from_memory(bytes)
}

/// What holds of axes that only one of contract and graph leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OpenAxes {
    Refused,
    Accepted,
}

/// Whether an input or output is f32 and has the axes that the contract says.
fn check_port(outlets: &[Outlet], port: &Port, open: OpenAxes) -> std::result::Result<(), String> {
    let outlet = outlets.iter().find(|outlet| outlet.name() == port.name).ok_or_else(|| {
        let names: Vec<&str> = outlets.iter().map(Outlet::name).collect();
        format!("there is no '{}' (there are: {})", port.name, names.join(", "))
    })?;
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
        return Err(format!("'{}' is no tensor", port.name));
    };
    if *ty != TensorElementType::Float32 {
        return Err(format!("'{}' has elements of type {ty}; expected f32", port.name));
    }
    let axis_fits = |(declared, expected): (&i64, &Axis)| match (usize::try_from(*declared).ok(), expected) {
        (Some(declared), Some(expected)) => declared == *expected,
        (Some(_), None) | (None, Some(_)) => open == OpenAxes::Accepted,
        (None, None) => true,
    };
    if shape.len() != port.axes.len() || !shape.iter().zip(&port.axes).all(axis_fits) {
        let axes: Vec<String> = port.axes.iter().map(|axis| axis.map_or("?".into(), |n| n.to_string())).collect();
        return Err(format!("'{}' has shape {:?}; expected [{}]", port.name, &shape[..], axes.join(", ")));
    }
    Ok(())
}

impl Graph {
    /// Makes a graph ready and checks its ports. At most `limit` runs go on at once; further ones wait.
    ///
    /// # Errors
    /// `Model` for a graph that is not as the contract says, `Runtime` where ONNX Runtime or the device refuses it.
    pub fn new(
        name: &str,
        bytes: FileBytes,
        ports: (Vec<Port>, Vec<Port>),
        setup: Setup,
        limit: usize,
    ) -> Result<Self> {
        let _span =
            tracing::info_span!("load_graph", name, provider = ?setup.provider, threads = setup.threads).entered();
        let plan = Plan::read(&bytes).map_err(|error| error.context(name))?;
        let session = open_session(&bytes, setup).map_err(|error| match setup.provider {
            Provider::Cpu => Error::new(ErrorKind::Model, format!("{name} cannot be loaded: {}", error.message())),
            Provider::Cuda(index) => failed(format!(
                "device=cuda:{index} cannot be used by the ONNX Runtime at {}: {}; it needs an NVIDIA driver, and \
                 CUDA's and cuDNN's libraries on the loader's path",
                runtime::location(),
                error.message().trim()
            )),
        })?;
        let (inputs, outputs) = ports;
        let check = || {
            if session.inputs().len() != inputs.len() {
                return Err(format!("it has {} inputs; expected {}", session.inputs().len(), inputs.len()));
            }
            inputs.iter().try_for_each(|port| check_port(session.inputs(), port, OpenAxes::Refused))?;
            outputs.iter().try_for_each(|port| check_port(session.outputs(), port, OpenAxes::Accepted))
        };
        check().map_err(|why| Error::new(ErrorKind::Model, format!("{name} is not as its manifest says: {why}")))?;
        let pool = Mutex::new(Pool { idle: vec![session], made: 1, limit: limit.max(1) });
        let (name, allowed, returned) = (name.to_owned(), Mutex::default(), Condvar::new());
        Ok(Self { name, bytes, setup, inputs, outputs, plan, allowed, pool, returned })
    }

    /// Runs the graph on `inputs`, in the order of the ports; gives the outputs' values in the ports' order. `shapes`
    /// are the shapes that they must have.
    ///
    /// # Errors
    /// `Runtime` where a run on inputs of these shapes would take more than any graph needs, fails, or gives an output
    /// of another shape.
    pub fn run(&self, inputs: &[Feed<'_>], shapes: &[&[usize]]) -> Result<Vec<Vec<f32>>> {
        self.check_shapes(inputs, shapes)?;
        let mut session = self.take()?;
        let result = self.run_in(&mut session, inputs, shapes);
        lock(&self.pool).idle.push(session);
        self.returned.notify_one();
        result.map_err(|error| failed(format!("{} failed: {}", self.name, error.message())))
    }

    /// Checks what a run would take, once for each set of shapes.
    fn check_shapes(&self, inputs: &[Feed<'_>], shapes: &[&[usize]]) -> Result<()> {
        let given: Vec<&[usize]> = inputs.iter().map(|input| input.shape).chain(shapes.iter().copied()).collect();
        let key = given.concat();
        let mut allowed = self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
        if allowed.contains(&key) {
            return Ok(());
        }
        let names = |ports: &[Port]| ports.iter().map(|port| port.name).collect::<Vec<_>>();
        let named: Vec<Shaped<'_>> = names(&self.inputs).into_iter().chain(names(&self.outputs)).zip(given).collect();
        let (inputs, outputs) = named.split_at(self.inputs.len());
        self.plan
            .check(inputs, outputs)
            .map_err(|error| failed(format!("{} failed: {}", self.name, error.message())))?;
        if allowed.len() >= SHAPES {
            allowed.clear();
        }
        allowed.push(key);
        Ok(())
    }

    fn run_in(&self, session: &mut Session, inputs: &[Feed<'_>], shapes: &[&[usize]]) -> ort::Result<Vec<Vec<f32>>> {
        let mut values = Vec::with_capacity(inputs.len());
        for (port, input) in self.inputs.iter().zip(inputs) {
            let tensor = TensorRef::from_array_view((input.shape, input.values))?;
            values.push((port.name, SessionInputValue::from(tensor)));
        }
        let outputs = session.run(values)?;
        let mut results = Vec::with_capacity(self.outputs.len());
        for (port, expected) in self.outputs.iter().zip(shapes) {
            let value = outputs.get(port.name).ok_or_else(|| ort::Error::new(format!("no output '{}'", port.name)))?;
            let (shape, data) = value.try_extract_tensor::<f32>()?;
            if shape.len() != expected.len() || shape.iter().zip(*expected).any(|(got, want)| *got != *want as i64) {
                return Err(ort::Error::new(format!(
                    "output '{}' has shape {:?}; expected {expected:?}",
                    port.name,
                    &shape[..]
                )));
            }
            results.push(data.to_vec());
        }
        Ok(results)
    }

    /// An idle session, or a new one while there are fewer than the limit; waits otherwise.
    fn take(&self) -> Result<Session> {
        let mut pool = lock(&self.pool);
        loop {
            if let Some(session) = pool.idle.pop() {
                return Ok(session);
            }
            if pool.made < pool.limit {
                pool.made += 1;
                drop(pool);
                return open_session(&self.bytes, self.setup).map_err(|error| {
                    lock(&self.pool).made -= 1;
                    self.returned.notify_one();
                    failed(format!("{} cannot be loaded again: {}", self.name, error.message()))
                });
            }
            pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
