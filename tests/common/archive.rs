//! What the tests of archives by one process share: a variable, a field of the whole domain, and writing and reading
//! it.

use fieldpress::archive::{Attribute, Reader, Selection, Serial, VariableId, VariableInfo, Writer, WriterOptions};
use fieldpress::{Bound, DType, FieldView, FieldViewMut, Options, Region, Shape};
use std::path::{Path, PathBuf};

pub fn codec_options() -> Options {
    Options::default().with_threads(1).with_fm(fieldpress::FmMode::Off)
}

pub fn options() -> WriterOptions {
    WriterOptions { codec: codec_options(), ..Default::default() }
}

pub fn variable(name: &str, dims: &[usize], dtype: DType) -> VariableInfo {
    let attributes = vec![("units".to_owned(), Attribute::Text("K".into()))];
    VariableInfo { name: name.into(), shape: Shape::new(dims).unwrap(), dtype, attributes }
}

/// A smooth field of the whole domain at a step.
pub fn global(dims: &[usize], step: usize) -> Vec<f64> {
    let n: usize = dims.iter().product();
    (0..n)
        .map(|i| {
            let (mut rest, mut value) = (i, 0.0);
            for (axis, &size) in dims.iter().enumerate().rev() {
                value += ((rest % size) as f64 * (0.21 + 0.1 * axis as f64) + step as f64 * 0.3).sin();
                rest /= size;
            }
            value + 0.01 * ((i * 7919 + step * 131) % 101) as f64
        })
        .collect()
}

/// The values of a box.
pub fn cut<T: Copy>(values: &[T], dims: &[usize], region: &Region) -> Vec<T> {
    let mut out = Vec::new();
    let n: usize = region.count.iter().product();
    for i in 0..n {
        let (mut rest, mut at, mut stride) = (i, 0, 1);
        for axis in (0..dims.len()).rev() {
            at += (region.start[axis] + rest % region.count[axis]) * stride;
            rest /= region.count[axis];
            stride *= dims[axis];
        }
        out.push(values[at]);
    }
    out
}

pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("archive").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

pub fn read(reader: &Reader, variable: usize, selection: &Selection) -> fieldpress::Result<Vec<f64>> {
    let shape = selection.output_shape(reader.variable(variable)?)?;
    let mut out = vec![0.0; shape.len()];
    reader.read(variable, selection, &mut FieldViewMut::new(&mut out, shape.dims())?)?;
    Ok(out)
}

/// Writes steps of one variable in two boxes.
pub fn write(path: &Path, options: WriterOptions, dims: &[usize], steps: std::ops::Range<usize>, bound: Bound) {
    let mut writer = Writer::open(Box::new(Serial), path, options).unwrap();
    let id = writer.define(variable("t", dims, DType::F64)).unwrap();
    for step in steps {
        put_step(&mut writer, id, dims, step, bound);
        writer.end_step().unwrap();
    }
    writer.close().unwrap();
}

pub fn put_step(writer: &mut Writer, id: VariableId, dims: &[usize], step: usize, bound: Bound) {
    let values = global(dims, step);
    writer.begin_step(step as f64 * 0.5).unwrap();
    let half = dims[0] / 2;
    for (from, count) in [(0, half), (half, dims[0] - half)] {
        let mut region = Region::whole(&Shape::new(dims).unwrap());
        (region.start[0], region.count[0]) = (from, count);
        let part = cut(&values, dims, &region);
        writer.put(id, &region.start, &FieldView::new(&part, &region.count).unwrap(), bound).unwrap();
    }
}

pub fn errors(a: &[f64], b: &[f64]) -> (f64, f64) {
    let squared: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
    let largest = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    ((squared / a.len() as f64).sqrt(), largest)
}

pub fn range(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::MIN, f64::max) - values.iter().copied().fold(f64::MAX, f64::min)
}
