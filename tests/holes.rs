//! Values that are not data: they come back bit for bit, touch no range, mean or neighbour, and are found where nobody
//! names them.

mod common;

use common::fields::{noise, smooth};
use fieldpress::{
    Bound, Codec, DType, FieldView, FieldViewMut, FmMode, Options, Report, Request, Scale, Sentinels, Shape,
    StepStream, inspect,
};
use proptest::prelude::*;
use std::sync::Arc;

const DIMS: [usize; 3] = [6, 40, 56];

fn codec(options: Options) -> Codec {
    Codec::new(options.with_fm(FmMode::Off).with_threads(1)).unwrap()
}

/// A smooth field, some 280 to 290, with a rectangle of another value.
fn field(mark: f32) -> Vec<f32> {
    let place = |i: usize| (i / 2240, i / 56 % 40, i % 56);
    let value = |(t, y, x): (usize, usize, usize)| {
        let wave = (0.11 * y as f32 + 0.05 * t as f32).sin() + (0.09 * x as f32).cos();
        if (9..25).contains(&y) && (11..33).contains(&x) { mark } else { 285.0 + 2.4 * wave }
    };
    (0..DIMS.iter().product()).map(|i| value(place(i))).collect()
}

/// A stream's values, whole.
fn decoded(stream: &[u8]) -> Vec<f32> {
    let shape = inspect(stream).unwrap().shape;
    let mut out = vec![0.0; shape.len()];
    let mut view = FieldViewMut::new(&mut out, shape.dims()).unwrap();
    codec(Options::default()).decompress(stream, &Request::default(), &mut view).unwrap();
    out
}

/// A rough field of `[8, 48, 64]` around zero.
fn rough() -> impl Iterator<Item = f64> {
    (0..8 * 48 * 64).map(|i| {
        let (t, y, x) = (i / 3072, i / 64 % 48, i % 64);
        let wave = smooth(7, 40 * t as i64, 61 * y as i64, 53 * x as i64) as f64;
        (wave + 0.2 * noise(9, t, y, x) as f64) / 16384.0
    })
}

fn compressed(values: &[f32], bound: Bound, options: Options) -> (Vec<u8>, Report) {
    codec(options).compress(&FieldView::new(values, &DIMS).unwrap(), bound).unwrap()
}

fn largest_error(original: &[f32], decoded: &[f32], mark: f32) -> f64 {
    let data = original.iter().zip(decoded).filter(|(a, _)| **a != mark);
    data.map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs()).fold(0.0, f64::max)
}

#[test]
fn sentinels_are_found_and_kept_under_every_bound() {
    for mark in [1e20f32, -9999.0, 9.969_21e36, -1e34, -32768.0, f32::MAX, -7777.0] {
        let values = field(mark);
        let range = 9.6;
        for bound in ["abs=0.01", "rel=1e-3", "nrmse=1e-3", "psnr=60", "block_l2=0.2", "lossless"] {
            let bound: Bound = bound.parse().unwrap();
            let (stream, report) = compressed(&values, bound, Options::default());
            assert_eq!(report.sentinels, [f64::from(mark)], "{bound}");
            assert_eq!(report.info.masked, [f64::from(mark)], "{bound}");
            assert!(report.info.range < range, "{bound}: range {}", report.info.range);
            let decoded = decoded(&stream);
            for (a, b) in values.iter().zip(&decoded).filter(|(a, _)| **a == mark) {
                assert_eq!(a.to_bits(), b.to_bits(), "{bound}");
            }
            let allowed = match bound {
                Bound::Rel(epsilon) => epsilon * range,
                Bound::Lossless => 0.0,
                Bound::Abs(epsilon) => epsilon,
                // Of these, some points may be further off.
                _ => 0.2,
            };
            assert!(largest_error(&values, &decoded, mark) <= allowed, "{mark}, {bound}");
            // As if it had been named.
            let named = Options::default().with_fill_value(f64::from(mark)).with_sentinels(Sentinels::Off);
            let (other, told) = compressed(&values, bound, named);
            assert!(stream == other && told.sentinels.is_empty(), "{mark}, {bound}");
        }
    }
}

#[test]
fn the_option_turns_it_off() {
    let values = field(-9999.0);
    let options: Options = "sentinels=off".parse().unwrap();
    let (stream, report) = compressed(&values, Bound::Rel(1e-3), options);
    assert!(report.sentinels.is_empty() && report.info.range > 1e4);
    let decoded = decoded(&stream);
    assert!(largest_error(&values, &decoded, f32::NAN) <= 1e-3 * report.info.range);
}

/// One value that is absurd costs no more than it holds.
#[test]
fn one_absurd_value_costs_little() {
    let clean = field(285.0);
    let mut spoiled = clean.clone();
    spoiled[4321] = 1e20;
    for bound in [Bound::Abs(0.01), Bound::Nrmse(1e-3)] {
        let (whole, _) = compressed(&clean, bound, Options::default());
        let (stream, _) = compressed(&spoiled, bound, Options::default());
        assert!(stream.len() as f64 <= 1.1 * whole.len() as f64 + 64.0, "{bound}: {} of {}", stream.len(), whole.len());
        let decoded = decoded(&stream);
        assert_eq!(decoded[4321], 1e20);
    }
}

/// At reduced scales no value is made of data and of what is not, whatever the coding, and without being told again.
#[test]
fn reduced_scales_never_mix_marks_with_data() {
    for (mark, named) in [(1e20f32, true), (1e20, false), (-9999.0, false), (-5.0, true)] {
        let values = field(mark);
        let options = Options::default().with_fill_value(named.then_some(f64::from(mark)));
        for bound in ["lossless", "abs=0.01", "rel=1e-2", "nrmse=1e-3", "abs=1e-30", "block_l2=0.2"] {
            let (stream, report) = compressed(&values, bound.parse().unwrap(), options.clone());
            for scale in [Scale::Half, Scale::Quarter] {
                let request = Request { scale, region: None };
                let dims = request.output_shape(&report.info).unwrap();
                let mut small = vec![0.0f32; dims.dims().iter().product()];
                codec(Options::default())
                    .decompress(&stream, &request, &mut FieldViewMut::new(&mut small, dims.dims()).unwrap())
                    .unwrap();
                let mixed = small.iter().filter(|&&v| v != mark && !(279.0..291.0).contains(&v)).count();
                assert_eq!(mixed, 0, "{mark}, {bound}, {scale:?}");
                assert!(small.contains(&mark), "{mark}, {bound}, {scale:?}");
            }
        }
    }
}

/// Of a field that is nothing but fill, or fill and one value, no range is left.
#[test]
fn fields_without_data_have_no_range() {
    for rest in [1e20f32, 0.0] {
        let mut values = vec![1e20f32; 2240];
        values[7] = rest;
        let view = FieldView::new(&values, &[40, 56]).unwrap();
        let (stream, report) = codec(Options::default()).compress(&view, Bound::Rel(1e-3)).unwrap();
        assert_eq!(report.info.range, 0.0);
        assert_eq!(decoded(&stream), values);
    }
}

/// Rain, which is never below zero, is not after decoding either.
#[test]
fn corrections_stay_within_the_fields_range() {
    let rain: Vec<f32> = rough().map(|v| (1.2 * v).exp_m1().max(0.0) as f32).collect();
    let (low, high) = rain.iter().fold((f32::MAX, 0.0f32), |(low, high), &v| (low.min(v), high.max(v)));
    assert_eq!(low, 0.0);
    let view = FieldView::new(&rain, &[8, 48, 64]).unwrap();
    for bound in ["rel=1e-2", "rel=1e-3", "abs=0.5", "block_l2=1"] {
        for effort in ["effort=0", "effort=1"] {
            let codec = codec(effort.parse().unwrap());
            let (stream, _) = codec.compress(&view, bound.parse().unwrap()).unwrap();
            let decoded = decoded(&stream);
            assert!(decoded.iter().all(|v| (low..=high).contains(v)), "{bound}, {effort}");
        }
    }
}

/// Values that are used to mark points without data, far from each other and from what [`drawn`] makes.
const MARKS: [f32; 9] = [-9999.0, 9999.0, 99999.0, 32767.0, -32768.0, 1e20, -1e34, 9.969_21e36, f32::MAX];

/// A field that waves between `low` and `low + width`, with runs of marks in it.
fn drawn((low, width): (f32, f32), marks: &[(usize, usize, usize)], seed: u64) -> Vec<f32> {
    let wave = |i: usize| {
        let (t, y, x) = ((i / 2240) as i64, (i / 56 % 40) as i64, (i % 56) as i64);
        (smooth(seed, 100 * t, 150 * y, 120 * x) + (noise(seed, i, 0, 0) >> 6) + 33_500) as f32 / 67_000.0
    };
    let mut values: Vec<f32> = (0..DIMS.iter().product()).map(|i| low + width * wave(i)).collect();
    for &(mark, from, count) in marks {
        let end = values.len().min(from + count);
        values[from..end].fill(MARKS[mark]);
    }
    values
}

/// Values at half the scale.
fn halved(stream: &[u8]) -> Vec<f32> {
    let request = Request { scale: Scale::Half, region: None };
    let dims = request.output_shape(&inspect(stream).unwrap()).unwrap();
    let mut small = vec![0.0f32; dims.dims().iter().product()];
    let mut view = FieldViewMut::new(&mut small, dims.dims()).unwrap();
    codec(Options::default()).decompress(stream, &request, &mut view).unwrap();
    small
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    /// Marks of any kind, number and place are found, kept, and touch neither range nor bound nor reduced scales; what is
    /// said of the mean was measured.
    #[test]
    fn drawn_marks_are_found_and_kept(
        range in (-1e3f32..1e3, 0.01f32..50.0),
        marks in prop::collection::vec((0..MARKS.len(), 0usize..13_440, 1usize..3000), 0..4),
        bound in prop::sample::select(&["abs=0.01", "rel=1e-2", "rel=1e-4", "nrmse=1e-3", "psnr=50", "lossless"][..]),
        effort in prop::sample::select(&["effort=0", "effort=1"][..]),
        seed in 0u64..1000,
    ) {
        let values = drawn(range, &marks, seed);
        let is_mark = |v: f32| MARKS.contains(&v);
        let mut expected: Vec<f64> = MARKS.iter().filter(|&m| values.contains(m)).map(|&m| m.into()).collect();
        expected.sort_by(f64::total_cmp);
        let bound: Bound = bound.parse().unwrap();
        let (stream, report) = compressed(&values, bound, effort.parse().unwrap());
        let mut found = report.sentinels.clone();
        found.sort_by(f64::total_cmp);
        prop_assert_eq!(&found, &expected);

        let given = effort.parse::<Options>().unwrap().with_sentinels(Sentinels::Given(expected));
        prop_assert!(compressed(&values, bound, given).0 == stream, "another stream where they are given");

        let decoded = decoded(&stream);
        let (mut low, mut high, mut squares, mut sum, mut largest, mut points) = (f64::MAX, f64::MIN, 0.0, 0.0, 0.0f64, 0);
        for (&a, &b) in values.iter().zip(&decoded) {
            if is_mark(a) {
                prop_assert_eq!(a.to_bits(), b.to_bits());
                continue;
            }
            let error = f64::from(b) - f64::from(a);
            (low, high, points) = (low.min(a.into()), high.max(a.into()), points + 1);
            (squares, sum, largest) = (squares + error * error, sum + error, largest.max(error.abs()));
        }
        let span = high - low;
        prop_assert_eq!(report.info.range, span);
        let rms = (squares / f64::from(points)).sqrt();
        match bound {
            Bound::Abs(e) => prop_assert!(largest <= e),
            Bound::Rel(e) => prop_assert!(largest <= e * span),
            Bound::Nrmse(e) => prop_assert!(rms <= e * span * (1.0 + 1e-12)),
            Bound::Psnr(db) => prop_assert!(20.0 * (span / rms).log10() >= db - 1e-9),
            _ => prop_assert_eq!(largest, 0.0),
        }
        prop_assert!((report.mean_error - sum / f64::from(points)).abs() <= 1e-10 * span);
        prop_assert!(decoded.iter().all(|&b| is_mark(b) || (low..=high).contains(&b.into())), "beyond the range");

        let (below, above) = (range.0 - range.1, range.0 + 2.0 * range.1);
        let mixed = halved(&stream).into_iter().filter(|v| !is_mark(*v) && !(below..above).contains(v)).count();
        prop_assert_eq!(mixed, 0);
    }
}

/// Axes are tried on a box out of the middle, which may hold no mark, or nothing else.
#[test]
fn marks_that_the_trial_of_axes_does_not_show_are_marks() {
    let dims = [8, 24, 32, 32];
    let clean: Vec<f32> = (0..dims.iter().product())
        .map(|i: usize| {
            let (t, z, y, x) = ((i / 24_576) as i64, i / 1024 % 24, (i / 32 % 32) as i64, (i % 32) as i64);
            smooth(3 + z as u64, 30 * t, 300 * y, 300 * x) as f32 / 4096.0
        })
        .collect();
    for (mark, is_hole) in [
        // All of the middle, in which one value beside it is left, and a corner.
        (-7777.0f32, (|z: usize, y: usize, _: usize| z > 3 && y > 3) as fn(usize, usize, usize) -> bool),
        (-9999.0, |z, y, x| z < 3 && y < 8 && x < 8),
    ] {
        let place = |i: usize| (i / 1024 % 24, i / 32 % 32, i % 32);
        let holed = clean.iter().enumerate().map(|(i, &v)| {
            let (z, y, x) = place(i);
            if is_hole(z, y, x) { mark } else { v }
        });
        let holed: Vec<f32> = holed.collect();
        let view = FieldView::new(&holed, &dims).unwrap();
        for bound in [Bound::Rel(1e-3), Bound::Nrmse(1e-3)] {
            let named = Options::default().with_fill_value(f64::from(mark)).with_sentinels(Sentinels::Off);
            let (told, _) = codec(named).compress(&view, bound).unwrap();
            let (found, report) = codec(Options::default()).compress(&view, bound).unwrap();
            assert_eq!(report.sentinels, [f64::from(mark)]);
            assert!(found == told, "{mark}, {bound}: other bytes than where it is named");
        }
    }
}

/// Windows of steps find their own.
#[test]
fn windows_of_steps_find_marks() {
    let values = field(1e20);
    let step = Shape::new(&DIMS[1..]).unwrap();
    let codec = Arc::new(codec(Options::default()));
    let mut stream = StepStream::new(codec, &step, DType::F32, 3, Bound::Rel(1e-3)).unwrap();
    let mut windows = Vec::new();
    for values in values.chunks(step.len()) {
        windows.extend(stream.push(&FieldView::new(values, step.dims()).unwrap()).unwrap());
    }
    assert_eq!(windows.len(), 2);
    for ((bytes, report), original) in windows.iter().zip(values.chunks(3 * step.len())) {
        assert_eq!(report.sentinels, [f64::from(1e20f32)]);
        assert!(report.info.range < 10.0);
        let decoded = decoded(bytes);
        assert!(largest_error(original, &decoded, 1e20) <= 1e-3 * report.info.range);
        assert!(original.iter().zip(&decoded).all(|(a, b)| *a != 1e20 || a == b));
    }
}

/// The mean of an intermittent field, which clamping at zero, and predictions beside it, would raise by up to a third.
#[test]
fn the_mean_is_kept() {
    let mean = |values: &[f32]| values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
    let bounds = [
        ("nrmse=1e-2", 0),
        ("nrmse=1e-3", 1),
        ("psnr=50", 0),
        ("nrmse=4e-2", 1),
        ("rel=3e-2", 0),
        ("rel=1e-2", 1),
        ("rel=1e-3", 0),
        ("abs=0.03", 1),
        ("block_l2=3", 0),
        ("block_l2=0.5", 1),
        ("block_l2=0.05", 0),
    ];
    for dry in [0.0, 1.0, 2.0] {
        let rain: Vec<f32> = rough().map(|v| (2.0 * v - dry).exp_m1().max(0.0) as f32).collect();
        let view = FieldView::new(&rain, &[8, 48, 64]).unwrap();
        for (bound, effort) in bounds {
            let options: Options = format!("effort={effort}").parse().unwrap();
            let (stream, report) = codec(options).compress(&view, bound.parse().unwrap()).unwrap();
            let decoded = decoded(&stream);
            let moved = mean(&decoded) - mean(&rain);
            assert!((moved - report.mean_error).abs() <= 1e-9 * report.info.range, "{moved} {}", report.mean_error);
            // What offsets of predictions, and corrections of blocks, leave is that of a few points' errors, of which there
            // are not many here.
            let few = if bound.contains("psnr") || bound.contains("nrmse") { 1.0 } else { 1.5 };
            let mut allowed = few * (1e-5 * report.info.range).min(1e-4 * mean(&rain));
            if bound.contains("block") && dry == 2.0 {
                // Most blocks are dry but for what is clamped, which the header's mean does not move.
                allowed = 0.02 * mean(&rain);
            }
            assert!(moved.abs() <= allowed, "{dry} {bound} {effort}: {moved:e} of {allowed:e}, mean {}", mean(&rain));
            // The header's error is that of what is decoded about the mean that it has.
            let squares: f64 = rain.iter().zip(&decoded).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
            let nrmse = (squares / rain.len() as f64).sqrt() / report.info.range;
            assert!((nrmse / inspect(&stream).unwrap().nrmse - 1.0).abs() < 1e-9, "{nrmse}");
        }
    }
}
