//! Training of the context coder's priors (test builds only): see docs/design.md for the data and the command.

use super::segment::state::SegmentState;
use crate::entropy::Encoder;
use crate::predict::hierarchical::ModelUse;
use crate::predict::{CodedWindow, Step};
use crate::residual::kernels::Kernel;
use crate::residual::layout::Layout;
use crate::residual::priors::training::Average;
use crate::stream::{IndexCoder, PredictionMode, SegmentHeader};

/// Reads `path:TxHxW` (raw f32, or the data of a .npy), normalised to a range of 1 around 0.
fn read(path: &str) -> (Vec<f32>, [usize; 3]) {
    let (file, dims) = path.split_once(':').expect("PATH:TxHxW");
    let dims: Vec<usize> = dims.split('x').map(|d| d.parse().expect("a size")).collect();
    let dims: [usize; 3] = dims.try_into().expect("three sizes");
    let bytes = std::fs::read(file).expect(file);
    let n = dims.iter().product::<usize>() * 4;
    let start = if file.ends_with(".npy") { bytes.len() - n } else { 0 };
    let values = bytes[start..start + n].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let mut values: Vec<f32> = values.collect();
    let (lo, hi) = values.iter().fold((f32::MAX, f32::MIN), |(lo, hi), &v| (lo.min(v), hi.max(v)));
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
    values.iter_mut().for_each(|v| *v = (f64::from(*v) - mean) as f32 / (hi - lo));
    (values, dims)
}

/// Codes a field at a step with a header, and gives its error and size.
fn code(
    frames: &[f32],
    dims: [usize; 3],
    header: &SegmentHeader,
    step: f64,
    average: Option<&mut Average>,
) -> (f64, usize) {
    let layout = Layout::new(dims[1], dims[2]);
    let n = layout.len();
    let mut state = SegmentState::<f32>::new(&layout, header, ModelUse::Off).expect("a header");
    let (mut side, mut coefficients) = (Encoder::new(Vec::new()), Encoder::new(Vec::new()));
    let (mut error, mut first) = (0.0, 0);
    let mut coded = CodedWindow::default();
    for count in state.windows(dims[0]) {
        let window = &frames[first * n..][..count * n];
        let prepared = state.prepare(window, count, Default::default());
        let step = Step::at_most(step);
        let found = state.encode(window, &prepared, count, step, &mut coded).expect("no model");
        let (_, decoded) = found.expect("a coarse step");
        state.code_side(&mut side, &mut coded).expect("encoding cannot fail");
        state.code(&mut coefficients, &mut coded).expect("encoding cannot fail");
        error += f32::squared_error(window, &decoded.frames, [f32::NEG_INFINITY, f32::INFINITY]);
        state.advance(decoded);
        first += count;
    }
    if let Some(average) = average {
        average.add(state.contexts_mut());
    }
    ((error / frames.len() as f64).sqrt(), side.finish().len() + coefficients.finish().len())
}

fn headers(frames: usize) -> Vec<SegmentHeader> {
    let header = |mode, window: usize| SegmentHeader {
        mode,
        window: window.min(frames),
        basis: None,
        coder: IndexCoder::Mixed,
        uses_model: false,
        enhance: None,
        layer_factor: 5,
        step: Step::at_most(1.0),
    };
    vec![
        header(PredictionMode::Previous, 8),
        header(PredictionMode::Previous, 32),
        header(PredictionMode::Previous, 1),
        header(PredictionMode::Hierarchical, 8),
    ]
}

/// FP_PRIORS="path:TxHxW …" names the training fields; writes `src/residual/priors.bin`, or with FP_MEASURE set only
/// prints the total bytes of these fields, for comparing priors on fields that they were not trained on.
#[test]
#[ignore = "trains the priors; see docs/design.md"]
fn train_priors() {
    let mut average = Average::default();
    let mut total = 0usize;
    let mut logs = Vec::new();
    for path in std::env::var("FP_PRIORS").expect("FP_PRIORS").split_whitespace() {
        let (frames, dims) = read(path);
        for target in [1e-2, 4e-3, 1e-3, 2e-4] {
            for header in headers(dims[0]) {
                let mut step = 3.0 * target;
                for _ in 0..3 {
                    let (error, _) = code(&frames, dims, &header, step, None);
                    step *= (target / error.max(1e-12)).powf(1.25).clamp(0.1, 10.0);
                }
                let (_, bytes) = code(&frames, dims, &header, step, Some(&mut average));
                total += bytes;
                logs.push((bytes as f64).ln());
            }
        }
    }
    println!("{total} bytes, geometric mean {:.1}", (logs.iter().sum::<f64>() / logs.len() as f64).exp());
    if std::env::var_os("FP_MEASURE").is_none() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/residual/priors.bin");
        std::fs::write(path, average.bytes()).expect("priors.bin");
    }
}
