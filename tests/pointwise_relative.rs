//! Bounds that are relative at each point: signs, zeros and points without data are exact, and every other point is
//! within its own share, whatever the range.

mod common;

use common::fields::noise;
use fieldpress::{Bound, Codec, Effort, Element, FieldView, FmMode, Options, Region, Request, Scale, inspect};
use proptest::prelude::*;

fn codec(effort: Effort) -> Codec {
    Codec::new(Options::default().with_effort(effort).with_fm(FmMode::Off)).unwrap()
}

fn decoded<T: Element>(codec: &Codec, stream: &[u8], request: &Request) -> Vec<T> {
    let (decoded, _) = codec.decompress_array(stream, request).unwrap();
    let bits: Vec<u64> = match decoded {
        fieldpress::Decoded::F32(values) => values.iter().map(|v| v.to_bits_u64()).collect(),
        fieldpress::Decoded::F64(values) => values.iter().map(|v| v.to_bits_u64()).collect(),
    };
    bits.into_iter().map(T::from_bits_u64).collect()
}

/// Whether a decoded value is as promised; exact in whole numbers of the last place where f64 would round.
fn holds<T: Element>(original: T, decoded: T, epsilon: f64, masked: Option<f64>) -> bool {
    let (x, y) = (original.to_f64(), decoded.to_f64());
    if !x.is_finite() || x == 0.0 || Some(x) == masked {
        return original.to_bits_u64() == decoded.to_bits_u64();
    }
    let same_sign = x.is_sign_negative() == y.is_sign_negative() && y != 0.0;
    // x and y are near each other, so that their difference is exact; the fused operation rounds once.
    let (x, y) = (x.abs(), y.abs());
    same_sign && (x - y).abs() <= epsilon * x && epsilon.mul_add(x, -(x - y).abs()) >= 0.0
}

/// Compresses, decompresses, compares.
fn round_trip<T: Element>(values: &[T], dims: &[usize], epsilon: f64, effort: Effort) -> (Vec<u8>, Vec<T>) {
    let codec = codec(effort);
    let view = FieldView::new(values, dims).unwrap();
    let (stream, report) = codec.compress(&view, Bound::PwRel(epsilon)).unwrap();
    assert_eq!(report.info.bound, Bound::PwRel(epsilon));
    assert_eq!(report.info.sections.total(), stream.len() as u64);
    assert_eq!((report.info.version, report.info.dtype), (9, T::DTYPE));
    assert!(stream.len() <= Codec::compress_bound(view.shape(), T::DTYPE));
    let decoded: Vec<T> = decoded(&codec, &stream, &Request::default());
    for (place, (a, b)) in values.iter().zip(&decoded).enumerate() {
        assert!(holds(*a, *b, epsilon, None), "{place}: {a:?} {b:?} under {epsilon}");
    }
    let largest = values.iter().zip(&decoded).map(|(a, b)| (a.to_f64() - b.to_f64()).abs());
    let largest = largest.filter(|error| error.is_finite()).fold(0.0, f64::max);
    assert_eq!(report.info.max_abs_error, largest);
    (stream, decoded)
}

/// Positive, smooth over many orders of magnitude.
fn plume(dims: [usize; 3]) -> Vec<f64> {
    let [frames, rows, columns] = dims;
    (0..frames * rows * columns)
        .map(|i| {
            let (t, y, x) = ((i / (rows * columns)) as f64, (i / columns % rows) as f64, (i % columns) as f64);
            (9.0 * (0.05 * x + 0.1 * t).sin() * (0.07 * y).cos() - 5.0).exp()
        })
        .collect()
}

/// A value of any size: of a wild or a narrow range, subnormal, or special.
fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => any::<u64>().prop_map(f64::from_bits),
        4 => (-300.0f64..300.0, any::<bool>()).prop_map(|(power, below)| 10f64.powf(power) * if below { -1.0 } else { 1.0 }),
        2 => -1.0f64..1.0,
        1 => Just(0.0),
        1 => Just(-0.0),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(f64::MAX)],
        1 => (1u64..1 << 52).prop_map(f64::from_bits),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_point_of_any_field_holds(
        values in prop::collection::vec(any_value(), 1..700),
        digits in 1i32..=6,
        columns in 1usize..20,
        effort in prop_oneof![Just(Effort::Fast), Just(Effort::Normal)],
    ) {
        let epsilon = 10f64.powi(-digits);
        let rows = values.len().div_ceil(columns);
        let mut values = values;
        values.resize(rows * columns, 1e-7);
        round_trip(&values, &[rows, columns], epsilon, effort);
        let narrow: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        round_trip(&narrow, &[rows, columns], epsilon, effort);
        // Subnormal and large f32, too.
        let single: Vec<f32> = values.iter().map(|&value| f32::from_bits((value.to_bits() >> 32) as u32)).collect();
        round_trip(&single, &[rows, columns], epsilon, effort);
    }

    #[test]
    fn smooth_fields_of_both_signs_hold(
        power in -250.0f64..250.0, waves in 0.01f64..0.4, zeros in 0u32..30, digits in 1i32..=9,
    ) {
        let dims = [6usize, 17, 23];
        let values: Vec<f64> = (0..dims.iter().product::<usize>()).map(|i| {
            let (t, y, x) = (i / 391, i / 23 % 17, i % 23);
            let value = 10f64.powf(power) * (waves * (x as f64 + 2.0 * t as f64)).sin() * (0.9 * waves * y as f64).cos();
            if (noise(8, t, y, x) as u32 & 0x7fff) < zeros * 300 { 0.0 } else { value }
        }).collect();
        round_trip(&values, &dims, 10f64.powi(-digits), Effort::Normal);
    }
}

#[test]
fn bounds_beyond_what_types_resolve_are_without_loss() {
    let values = plume([2, 20, 30]);
    for epsilon in [1e-16, 1e-300] {
        let (stream, decoded) = round_trip(&values, &[2, 20, 30], epsilon, Effort::Normal);
        assert_eq!(inspect(&stream).unwrap().max_abs_error, 0.0);
        assert_eq!(decoded, values);
    }
    let narrow: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    let (_, decoded) = round_trip(&narrow, &[2, 20, 30], 5e-8, Effort::Normal);
    assert_eq!(decoded, narrow);
    // And bounds that allow more than the value are taken for less: signs stay.
    for epsilon in [0.9, 1.0, 1e9] {
        let signed: Vec<f64> = values.iter().enumerate().map(|(i, v)| if i % 3 == 0 { -v } else { *v }).collect();
        let (stream, _) = round_trip(&signed, &[2, 20, 30], epsilon, Effort::Normal);
        assert!(stream.len() < signed.len());
    }
}

/// Fields over many orders of magnitude: where a bound in units of the range leaves nothing of small values, this one
/// takes a fraction of what lossless coding does.
#[test]
fn streams_are_small() {
    let dims = [12, 60, 70];
    let values: Vec<f32> = plume(dims).into_iter().map(|value| value as f32).collect();
    let mut before = usize::MAX;
    for (epsilon, least) in [(1e-5, 3.0), (1e-3, 9.0), (1e-1, 30.0)] {
        let (stream, _) = round_trip(&values, &dims, epsilon, Effort::Normal);
        let ratio = (4 * values.len()) as f64 / stream.len() as f64;
        assert!(ratio > least, "{epsilon}: {ratio}");
        assert!(stream.len() < before);
        before = stream.len();
    }
}

#[test]
fn points_without_data_are_exact_and_known() {
    let dims = [3, 40, 50];
    let mut values = plume(dims);
    for (i, value) in values.iter_mut().enumerate() {
        match noise(4, 0, i / 50, i % 50) & 63 {
            0 => *value = f64::from_bits(0x7ff8_dead_0000_beef),
            1 => *value = -9.99e33,
            2..9 => *value = 0.0,
            9 => *value = -*value,
            _ => {}
        }
    }
    let options = Options::default().with_fm(FmMode::Off).with_fill_value(-9.99e33);
    let codec = Codec::new(options).unwrap();
    let view = FieldView::new(&values, &dims).unwrap();
    let (stream, report) = codec.compress(&view, Bound::PwRel(1e-3)).unwrap();
    assert_eq!(report.info.masked, [-9.99e33]);
    assert!(report.info.max_abs_error < 1.0, "the fill value is no data: {}", report.info.max_abs_error);
    let back: Vec<f64> = decoded(&codec, &stream, &Request::default());
    assert!(values.iter().zip(&back).all(|(a, b)| holds(*a, *b, 1e-3, Some(-9.99e33))));
}

/// Boxes are the field's values bit for bit, and averages those of decoded values; across the runs of signs, too.
#[test]
fn parts_are_those_of_the_field() {
    for dims in [vec![5, 30, 44], vec![3, 700, 800], vec![4, 6, 20, 24], vec![1_100_000]] {
        let len: usize = dims.iter().product();
        let columns = *dims.last().unwrap();
        let values: Vec<f32> = (0..len)
            .map(|i| {
                let (y, x) = ((i / columns) as f32, (i % columns) as f32);
                (0.03 * x + 0.2 * y).sin() * (0.02 * y).exp2().min(1e20) * if i % 97 == 5 { 0.0 } else { 1.0 }
            })
            .collect();
        let (stream, whole) = round_trip(&values, &dims, 1e-2, Effort::Fast);
        let codec = codec(Effort::Fast);
        let strides: Vec<usize> = (0..dims.len()).map(|axis| dims[axis + 1..].iter().product()).collect();
        for part in 1..5usize {
            let start: Vec<usize> = dims.iter().map(|n| n * part / 7).collect();
            let count: Vec<usize> = dims.iter().zip(&start).map(|(n, s)| (n - s).div_ceil(part)).collect();
            let region = Region { start, count };
            let request = Request { scale: Scale::Full, region: Some(region.clone()) };
            let got: Vec<f32> = decoded(&codec, &stream, &request);
            for (at, value) in got.iter().enumerate() {
                let (mut rest, mut index) = (at, 0);
                for axis in (0..dims.len()).rev() {
                    index += (region.start[axis] + rest % region.count[axis]) * strides[axis];
                    rest /= region.count[axis];
                }
                assert_eq!(value.to_bits(), whole[index].to_bits(), "{dims:?} {region:?} {at}");
            }
        }
        let info = inspect(&stream).unwrap();
        let request = Request { scale: Scale::Half, region: None };
        let shape = request.output_shape(&info).unwrap();
        let half: Vec<f32> = decoded(&codec, &stream, &request);
        assert_eq!(half.len(), shape.len());
        let factors: Vec<usize> = dims.iter().zip(shape.dims()).map(|(n, m)| if n == m { 1 } else { 2 }).collect();
        let mut sums = vec![(0.0f64, 0u32); half.len()];
        for (i, value) in whole.iter().enumerate() {
            let (mut rest, mut at, mut stride) = (i, 0, 1);
            for axis in (0..dims.len()).rev() {
                at += rest % dims[axis] / factors[axis] * stride;
                rest /= dims[axis];
                stride *= shape.dims()[axis];
            }
            sums[at].0 += f64::from(*value);
            sums[at].1 += 1;
        }
        for (value, (sum, count)) in half.iter().zip(sums) {
            assert_eq!(*value, (sum / f64::from(count)) as f32, "{dims:?}");
        }
    }
}

/// The layout and the number of threads change nothing.
#[test]
fn streams_are_those_of_the_values() {
    let dims = [3, 600, 700];
    let values: Vec<f32> = (0..3 * 600 * 700).map(|i| ((i % 700) as f32 * 0.01 - 3.0) * (i / 700) as f32).collect();
    let make = |threads: usize| {
        let options = Options::default().with_effort(Effort::Fast).with_fm(FmMode::Off).with_threads(threads);
        let codec = Codec::new(options).unwrap();
        codec.compress(&FieldView::new(&values, &dims).unwrap(), Bound::PwRel(1e-3)).unwrap().0
    };
    let stream = make(1);
    assert_eq!(make(3), stream);
    let mut wide = vec![0.0f32; 3 * 600 * 710];
    for (i, value) in values.iter().enumerate() {
        wide[i / 700 * 710 + i % 700] = *value;
    }
    let view = FieldView::strided(&wide, &dims, &[600 * 710, 710, 1]).unwrap();
    assert_eq!(codec(Effort::Fast).compress(&view, Bound::PwRel(1e-3)).unwrap().0, stream);
}
