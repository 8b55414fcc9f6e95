//! Frames that are volumes: fields of four axes, coded along time and depth together.

mod common;

use common::fields;
use fieldpress::{
    Axes, Bound, Codec, Effort, FieldView, FieldViewMut, FmMode, Options, ReferenceFrame, Region, Request, Scale,
    inspect,
};
use proptest::prelude::*;
use proptest::sample::select;

fn options(effort: Effort, axes: &[usize]) -> Options {
    let axes: Axes = axes.iter().map(usize::to_string).collect::<Vec<_>>().join(",").parse().unwrap();
    Options::default().with_effort(effort).with_fm(FmMode::Off).with_threads(1).with_axes(axes)
}

/// Waves that move through a volume, and a little noise.
fn flow(dims: &[usize], seed: u64) -> Vec<f32> {
    let phase = seed as f64 * 0.37;
    let values = fields::field(dims, |t, z, y, x| {
        let [t, z, y, x] = [t as f64, z as f64, y as f64, x as f64];
        let noise = (x * 12.9898 + y * 78.233 + z * 37.719 + t * 4.581).sin() * 43758.5453;
        (0.21 * x + 0.13 * t + phase).sin()
            + (0.17 * y - 0.09 * z).cos()
            + 0.5 * (0.04 * x * z + phase).sin()
            + 1e-3 * noise.fract()
    });
    values.into_iter().map(|value| value as f32).collect()
}

fn decoded(codec: &Codec, stream: &[u8], request: &Request) -> (Vec<f32>, fieldpress::Report) {
    let shape = request.output_shape(&inspect(stream).unwrap()).unwrap();
    let mut out = vec![f32::NAN; shape.len()];
    let report = codec.decompress(stream, request, &mut FieldViewMut::new(&mut out, shape.dims()).unwrap()).unwrap();
    (out, report)
}

fn part(values: &[f32], dims: &[usize], region: &Region) -> Vec<f32> {
    FieldView::new(values, dims).unwrap();
    let mut out = Vec::new();
    let mut index = vec![0; dims.len()];
    for value in values {
        if index
            .iter()
            .zip(&region.start)
            .zip(&region.count)
            .all(|((i, start), count)| (*start..start + count).contains(i))
        {
            out.push(*value);
        }
        for (i, n) in index.iter_mut().zip(dims).rev() {
            *i += 1;
            if *i < *n {
                break;
            }
            *i = 0;
        }
    }
    out
}

/// Means over blocks of points with data; where a block has none, the mark.
fn means(values: &[f32], dims: &[usize], factors: &[usize], mark: Option<f32>) -> Vec<f32> {
    let small: Vec<usize> = dims.iter().zip(factors).map(|(n, f)| n.div_ceil(*f)).collect();
    let mut sums = vec![(0.0f64, 0u32); small.iter().product()];
    for (i, value) in values.iter().enumerate() {
        let mut rest = i;
        let mut place: Vec<usize> = dims.iter().rev().map(|n| (rest % n, rest /= n).0).collect();
        place.reverse();
        let cell = place.iter().zip(factors).zip(&small).fold(0, |cell, ((at, f), n)| cell * n + at / f);
        if Some(*value) != mark {
            sums[cell] = (sums[cell].0 + f64::from(*value), sums[cell].1 + 1);
        }
    }
    let mean = |(sum, count): (f64, u32)| if count > 0 { (sum / f64::from(count)) as f32 } else { mark.unwrap_or(0.0) };
    sums.into_iter().map(mean).collect()
}

/// What smooth volumes have at reduced scales is near the means over blocks, however they are coded.
#[test]
fn reduced_scales_are_near_means() {
    let dims = [3, 19, 24, 26];
    let smooth: Vec<f32> = fields::field(&dims, |t, z, y, x| {
        (0.05 * x as f64 + 0.02 * t as f64).sin() + (0.04 * y as f64 - 0.06 * z as f64).cos()
    })
    .into_iter()
    .map(|value| value as f32)
    .collect();
    for (bound, effort) in [(Bound::Nrmse(1e-4), Effort::Normal), (Bound::Rel(1e-5), Effort::Fast)] {
        let codec = Codec::new(options(effort, &[0, 1, 2, 3])).unwrap();
        let (stream, _) = codec.compress(&FieldView::new(&smooth, &dims).unwrap(), bound).unwrap();
        for (scale, factor) in [(Scale::Half, 2), (Scale::Quarter, 4)] {
            let (small, _) = decoded(&codec, &stream, &Request { scale, ..Default::default() });
            let wanted = means(&smooth, &dims, &[1, factor, factor, factor], None);
            let worst = small.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 0.1, "{bound} 1/{factor}: {worst}");
            let rms = small.iter().zip(&wanted).map(|(a, b)| (a - b).powi(2)).sum::<f32>() / small.len() as f32;
            assert!(rms.sqrt() < 0.02, "{bound} 1/{factor}: {}", rms.sqrt());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any four axes of any shape: the bound holds, marks come back, a box is the same part of the whole, and reduced
    /// scales have their shape.
    #[test]
    fn volumes_survive(
        dims in prop::collection::vec(1usize..20, 4..=5),
        order in Just(vec![0usize, 1, 2, 3, 4]).prop_shuffle(),
        effort in select(vec![Effort::Fast, Effort::Normal, Effort::High]),
        bound in select(vec![Bound::Nrmse(1e-2), Bound::Rel(1e-3), Bound::Abs(0.05), Bound::Psnr(70.0), Bound::Lossless]),
        (masked, seed, segment) in (any::<bool>(), any::<u64>(), 0u16..9),
        corners in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 5),
    ) {
        let axes: Vec<usize> = order.into_iter().filter(|&axis| axis < dims.len()).take(4).collect();
        let mut values = flow(&dims, seed % 1000);
        if masked {
            values.iter_mut().step_by(7).for_each(|v| *v = -999.0);
        }
        let mut options = options(effort, &axes).with_segment(std::num::NonZeroU16::new(segment));
        if masked {
            options = options.with_fill_value(-999.0);
        }
        let codec = Codec::new(options).unwrap();
        let (stream, report) = codec.compress(&FieldView::new(&values, &dims).unwrap(), bound).unwrap();
        let info = inspect(&stream).unwrap();
        prop_assert_eq!(info.axes.map(|axes| axes.list()), Some(axes.clone()));
        let (whole, _) = decoded(&codec, &stream, &Request::default());
        let mut largest = 0.0f64;
        for (value, found) in values.iter().zip(&whole) {
            if masked && *value == -999.0 {
                prop_assert_eq!(value.to_bits(), found.to_bits());
            } else {
                largest = largest.max((f64::from(*value) - f64::from(*found)).abs());
            }
        }
        prop_assert!(largest <= info.max_abs_error, "{} {}", largest, info.max_abs_error);
        prop_assert_eq!(info.max_abs_error, report.info.max_abs_error);
        match bound {
            Bound::Abs(limit) => prop_assert!(largest <= limit),
            Bound::Rel(share) => prop_assert!(largest <= share * info.range),
            Bound::Nrmse(limit) => prop_assert!(info.nrmse <= limit),
            Bound::Lossless => prop_assert_eq!(largest, 0.0),
            _ => prop_assert!(info.nrmse <= 10f64.powf(-70.0 / 20.0) * 1.000_001),
        }
        let ends: Vec<[usize; 2]> = dims.iter().zip(&corners).map(|(&n, (a, b))| {
            let (a, b) = (a.index(n), b.index(n));
            [a.min(b), a.max(b) + 1]
        }).collect();
        let region = Region { start: ends.iter().map(|e| e[0]).collect(), count: ends.iter().map(|e| e[1] - e[0]).collect() };
        let (found, _) = decoded(&codec, &stream, &Request { region: Some(region.clone()), ..Default::default() });
        let wanted = part(&whole, &dims, &region);
        prop_assert!(found.iter().zip(&wanted).all(|(a, b)| a.to_bits() == b.to_bits()));
        // At reduced scales a box is a part of the whole, too, and lossless streams have their blocks' means.
        for (scale, factor) in [(Scale::Half, 2), (Scale::Quarter, 4)] {
            let factors: Vec<usize> = (0..dims.len()).map(|axis| if axes[1..].contains(&axis) { factor } else { 1 }).collect();
            let (small, _) = decoded(&codec, &stream, &Request { scale, ..Default::default() });
            let small_dims: Vec<usize> = dims.iter().zip(&factors).map(|(n, f)| n.div_ceil(*f)).collect();
            prop_assert_eq!(small.len(), small_dims.iter().product::<usize>());
            let (found, _) = decoded(&codec, &stream, &Request { scale, region: Some(region.clone()) });
            let ends = ends.iter().zip(&factors).map(|(e, f)| [e[0] / f, e[1].div_ceil(*f)]).collect::<Vec<_>>();
            let within = Region { start: ends.iter().map(|e| e[0]).collect(), count: ends.iter().map(|e| e[1] - e[0]).collect() };
            let wanted = part(&small, &small_dims, &within);
            prop_assert!(found.iter().zip(&wanted).all(|(a, b)| a.to_bits() == b.to_bits()));
            if bound == Bound::Lossless {
                let means = means(&values, &dims, &factors, masked.then_some(-999.0));
                prop_assert!(small.iter().zip(&means).all(|(a, b)| (a - b).abs() < 1e-5), "means");
            }
        }
    }
}

/// A box inside of one brick reads that one's section, and no bytes of others.
#[test]
fn boxes_read_the_bricks_that_they_touch() {
    let dims = [4, 40, 24, 24];
    let values = flow(&dims, 3);
    let codec = Codec::new(options(Effort::Fast, &[0, 1, 2, 3])).unwrap();
    let (stream, whole) = codec.compress(&FieldView::new(&values, &dims).unwrap(), Bound::Nrmse(1e-4)).unwrap();
    let bytes = |start: [usize; 4], count: [usize; 4]| {
        let region = Region { start: start.to_vec(), count: count.to_vec() };
        let (_, report) = decoded(&codec, &stream, &Request { region: Some(region), ..Default::default() });
        report.info.sections.coefficients
    };
    // Planes 0 to 15, 16 to 31, 32 to 39.
    let bricks = [0, 16, 32].map(|z| bytes([1, z, 3, 3], [1, 2, 4, 4]));
    assert_eq!(bricks.iter().sum::<u64>(), whole.info.sections.coefficients);
    assert_eq!(bytes([0, 14, 0, 0], [4, 3, 24, 24]), bricks[0] + bricks[1]);
}

/// The same bytes on any number of threads.
#[test]
fn threads_change_no_byte() {
    let dims = [9, 33, 40, 40];
    let values = flow(&dims, 8);
    let streams = [1, 2, 5].map(|threads| {
        let options = options(Effort::Normal, &[0, 1, 2, 3]).with_threads(threads);
        Codec::new(options).unwrap().compress(&FieldView::new(&values, &dims).unwrap(), Bound::Nrmse(1e-3)).unwrap().0
    });
    assert!(streams.iter().all(|stream| *stream == streams[0]));
}

/// Blocks of that bound lie in frames that are planes.
#[test]
fn blocks_are_refused() {
    let dims = [8, 8, 16, 16];
    let values = flow(&dims, 1);
    let codec = Codec::new(options(Effort::Fast, &[0, 1, 2, 3])).unwrap();
    let error = codec.compress(&FieldView::new(&values, &dims).unwrap(), Bound::BlockL2(0.1)).unwrap_err();
    assert!(error.to_string().contains("name three axes"), "{error}");
}

/// Nothing is predicted for volumes: a stream of them follows no frame, though one be given.
#[test]
fn volumes_follow_no_frame() {
    let dims = [3, 8, 20, 24];
    let values = flow(&dims, 5);
    let frame = &values[..8 * 20 * 24];
    let before = ReferenceFrame { frame: FieldView::new(frame, &[1, 8, 20, 24]).unwrap(), drift: 0.0 };
    let codec = Codec::new(options(Effort::Normal, &[0, 1, 2, 3])).unwrap();
    let view = FieldView::new(&values, &dims).unwrap();
    let (stream, report) = codec.compress_after(&view, Bound::Nrmse(1e-3), &before).unwrap();
    assert!(!report.info.follows);
    assert_eq!(stream, codec.compress(&view, Bound::Nrmse(1e-3)).unwrap().0);
}
