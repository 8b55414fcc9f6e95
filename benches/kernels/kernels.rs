//! Speeds of fieldpress's kernels, one thread, in MB of f32 values a second: `cargo bench -p fieldpress-kernels`.

use criterion::{
    BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use fieldpress::kernels::{ContextCoder, Contexts, Copier, Quantiser, TableCoder, Wavelet};
use fieldpress_kernels::{DIMS, field};
use std::time::Duration;

const ROWS: usize = DIMS[1];
const COLUMNS: usize = DIMS[2];
const PLANE: usize = ROWS * COLUMNS;

/// A group whose speeds count the bytes of `values` f32 values.
fn group<'a>(criterion: &'a mut Criterion, name: &str, values: usize) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::BytesDecimal(4 * values as u64));
    group
}

/// The wavelet's coefficients of all frames.
fn coefficients() -> Vec<f32> {
    let mut planes = field();
    let mut wavelet = Wavelet::new(ROWS, COLUMNS);
    planes.chunks_exact_mut(PLANE).for_each(|plane| wavelet.forward(plane));
    planes
}

fn wavelet(criterion: &mut Criterion) {
    let mut group = group(criterion, "wavelet", PLANE);
    let mut wavelet = Wavelet::new(ROWS, COLUMNS);
    let frame = field()[..PLANE].to_vec();
    group.bench_function("forward", |bencher| {
        bencher.iter_batched_ref(|| frame.clone(), |frame| wavelet.forward(frame), BatchSize::LargeInput);
    });
    let plane = coefficients()[..PLANE].to_vec();
    group.bench_function("inverse", |bencher| {
        bencher.iter_batched_ref(|| plane.clone(), |plane| wavelet.inverse(plane), BatchSize::LargeInput);
    });
}

fn quantiser(criterion: &mut Criterion) {
    let mut group = group(criterion, "quantiser", PLANE);
    let quantiser = Quantiser::new(ROWS, COLUMNS, 0.01);
    let mut plane = coefficients()[..PLANE].to_vec();
    let mut indices = vec![0; PLANE];
    group.bench_function("quantise", |bencher| bencher.iter(|| quantiser.quantise(&plane, &mut indices)));
    group.bench_function("quantise and refine", |bencher| {
        bencher.iter(|| quantiser.quantise_and_refine(&plane, &mut indices));
    });
    group.bench_function("dequantise", |bencher| bencher.iter(|| quantiser.dequantise(&indices, &mut plane)));
}

/// Indices of all planes at a step.
fn quantised(planes: &[f32], step: f32) -> Vec<i32> {
    let quantiser = Quantiser::new(ROWS, COLUMNS, step);
    let mut indices = vec![0; planes.len()];
    for (plane, indices) in planes.chunks_exact(PLANE).zip(indices.chunks_exact_mut(PLANE)) {
        quantiser.quantise_and_refine(plane, indices);
    }
    indices
}

fn context_coder(criterion: &mut Criterion) {
    let planes = coefficients();
    let mut group = group(criterion, "context coder", planes.len());
    for (name, contexts) in [("one counter", Contexts::Single), ("mixed", Contexts::Mixed)] {
        for (rate, step) in [("fine", 0.01), ("coarse", 0.1)] {
            let mut indices = quantised(&planes, step);
            let mut coder = ContextCoder::new(DIMS[0], ROWS, COLUMNS, contexts);
            let bytes = coder.encode(&mut indices);
            let bits = 8.0 * bytes.len() as f64 / planes.len() as f64;
            println!("{name}, {rate}: {bits:.2} bits a value");
            group.bench_function(format!("encode, {name}, {rate}"), |bencher| {
                bencher.iter(|| coder.encode(&mut indices))
            });
            let mut decoded = vec![0; planes.len()];
            group.bench_function(format!("decode, {name}, {rate}"), |bencher| {
                bencher.iter(|| coder.decode(&bytes, &mut decoded).expect("its own bytes"));
            });
            assert!(decoded == indices, "decoding gives back what was encoded");
        }
    }
}

fn table_coder(criterion: &mut Criterion) {
    let planes = coefficients();
    let mut group = group(criterion, "table coder", planes.len());
    for (rate, step) in [("fine", 0.01), ("coarse", 0.1)] {
        let mut indices = quantised(&planes, step);
        let mut coder = TableCoder::new(DIMS[0], ROWS, COLUMNS);
        let bytes = coder.encode(&mut indices);
        let bits = 8.0 * bytes.iter().map(Vec::len).sum::<usize>() as f64 / planes.len() as f64;
        println!("tables, {rate}: {bits:.2} bits a value");
        group.bench_function(format!("encode, {rate}"), |bencher| bencher.iter(|| coder.encode(&mut indices)));
        let mut decoded = vec![0; planes.len()];
        group.bench_function(format!("decode, {rate}"), |bencher| {
            bencher.iter(|| coder.decode(&bytes, &mut decoded).expect("its own bytes"));
        });
        assert!(decoded == indices, "decoding gives back what was encoded");
    }
}

fn copying(criterion: &mut Criterion) {
    let values = field();
    let mut group = group(criterion, "copying", values.len());
    // The same values cut into tiles: frames wider than a tile.
    let dims = [1, 16 * ROWS / 2, 2 * COLUMNS];
    let mut copier = Copier::new(&values, dims).expect("a field");
    let mut out = vec![0.0; values.len()];
    group.bench_function("gather tiles", |bencher| bencher.iter(|| copier.gather(&values)));
    group.bench_function("scatter tiles", |bencher| bencher.iter(|| copier.scatter(&mut out)));
}

criterion_group! {
    name = kernels;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = wavelet, quantiser, context_coder, table_coder, copying
}
criterion_main!(kernels);
