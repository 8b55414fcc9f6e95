//! Whole fields through the public API: the bound holds on what comes back, whatever the values, shapes and bounds.

use fieldpress::{Bound, Codec, Effort, Element, FieldView, FieldViewMut, FmMode, Options, Request, inspect};
use proptest::prelude::*;

fn codec(effort: Effort) -> Codec {
    Codec::new(Options::default().with_effort(effort).with_fm(FmMode::Off).with_threads(1)).unwrap()
}

fn round_trip<T: Element>(codec: &Codec, values: &[T], dims: &[usize], bound: Bound) -> (Vec<u8>, Vec<T>) {
    let (bytes, report) = codec.compress(&FieldView::new(values, dims).unwrap(), bound).unwrap();
    assert_eq!(report.stream_bytes as usize, bytes.len());
    assert_eq!(report.info.sections.total() as usize, bytes.len());
    assert!(
        bytes.len() <= std::mem::size_of_val(values) + 512,
        "{} bytes for {}",
        bytes.len(),
        std::mem::size_of_val(values)
    );
    let mut out = vec![T::from_f64(0.0); values.len()];
    codec.decompress(&bytes, &Request::default(), &mut FieldViewMut::new(&mut out, dims).unwrap()).unwrap();
    (bytes, out)
}

/// Checks a bound in f64, by its definition.
fn assert_bound<T: Element>(original: &[T], decoded: &[T], dims: &[usize], bound: Bound) {
    let mut valid = Vec::new();
    for (a, b) in original.iter().zip(decoded) {
        if a.to_f64().is_finite() {
            valid.push((a.to_f64(), b.to_f64()));
        } else {
            assert_eq!(a.to_bits_u64(), b.to_bits_u64(), "a special value changed");
        }
    }
    if valid.is_empty() {
        return;
    }
    let (lo, hi) = valid.iter().fold((f64::MAX, f64::MIN), |(lo, hi), (a, _)| (lo.min(*a), hi.max(*a)));
    let range = hi - lo;
    let largest = valid.iter().map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    // Scaled, so that squares of 1e38 stay finite.
    let scale = if largest > 0.0 { largest } else { 1.0 };
    let rms = (valid.iter().map(|(a, b)| ((a - b) / scale).powi(2)).sum::<f64>() / valid.len() as f64).sqrt() * scale;
    match bound {
        Bound::Abs(e) => assert!(largest <= e, "{largest} > {e}"),
        Bound::Rel(e) => assert!(largest <= e * range, "{largest} > {e} * {range}"),
        Bound::Nrmse(e) => assert!(rms <= e * range * (1.0 + 1e-12), "{rms} > {e} * {range}"),
        Bound::Psnr(db) => assert!(rms <= range * 10f64.powf(-db / 20.0) * (1.0 + 1e-12)),
        Bound::BlockL2(tau) => {
            let mut d = [1; 3];
            let skip = dims.len().saturating_sub(3);
            for (slot, n) in d.iter_mut().rev().zip(dims.iter().rev()) {
                *slot = *n;
            }
            let series: usize = dims[..skip].iter().product();
            let n = d[0] * d[1] * d[2];
            let mut blocks = std::collections::HashMap::new();
            for s in 0..series {
                for i in 0..n {
                    let (a, b) = (original[s * n + i].to_f64(), decoded[s * n + i].to_f64());
                    if a.is_finite() {
                        let key = (s, i / (d[1] * d[2]) / 8, i / d[2] % d[1] / 8, i % d[2] / 8);
                        *blocks.entry(key).or_insert(0.0) += (a - b) * (a - b);
                    }
                }
            }
            for (key, sum) in blocks {
                assert!(f64::sqrt(sum) <= tau * (1.0 + 1e-12), "block {key:?}: {} > {tau}", f64::sqrt(sum));
            }
        }
        Bound::Lossless => assert!(original.iter().zip(decoded).all(|(a, b)| a.to_bits_u64() == b.to_bits_u64())),
        _ => unreachable!("no other bound is tried"),
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Smooth,
    Noise,
    Spike,
    Steps,
    Huge,
    Subnormal,
    Mixed,
    Offset,
}

/// A field of `n` values of a kind, as f64, with a share of them made special.
fn field(kind: Kind, n: usize, columns: usize, seed: u64, specials: bool) -> Vec<f64> {
    let mut state = seed | 1;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let (a, b) = (draw() * 0.3, draw() * 0.2);
    (0..n)
        .map(|i| {
            let (y, x) = ((i / columns) as f64, (i % columns) as f64);
            let smooth = (a * x).sin() + (b * y).cos();
            let noise = draw();
            let value = match kind {
                Kind::Smooth => smooth,
                Kind::Noise => noise,
                Kind::Spike => {
                    if i == n / 2 {
                        1e6
                    } else {
                        0.0
                    }
                }
                Kind::Steps => (smooth * 3.0).round(),
                Kind::Huge => smooth * 1.6e38,
                Kind::Subnormal => smooth * 1e-40,
                Kind::Mixed => smooth * 10f64.powf(noise * 60.0 - 30.0),
                Kind::Offset => 1e5 + smooth * 1e-2,
            };
            match (specials, (draw() * 40.0) as u32) {
                (true, 0) => f64::NAN,
                (true, 1) => f64::INFINITY,
                (true, 2) => f64::NEG_INFINITY,
                _ => value,
            }
        })
        .collect()
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![
        Kind::Smooth,
        Kind::Noise,
        Kind::Spike,
        Kind::Steps,
        Kind::Huge,
        Kind::Subnormal,
        Kind::Mixed,
        Kind::Offset,
    ])
}

fn bounds() -> impl Strategy<Value = (usize, f64)> {
    (0usize..6, -9.0f64..-0.5)
}

fn bound_of((kind, exponent): (usize, f64), values: &[f64]) -> Bound {
    let finite = values.iter().filter(|v| v.is_finite());
    let (lo, hi) = finite.fold((f64::MAX, f64::MIN), |(lo, hi), &v| (lo.min(v), hi.max(v)));
    let range = if hi > lo { hi - lo } else { 1.0 };
    let e = 10f64.powf(exponent);
    match kind {
        0 => Bound::Abs((e * range).max(f64::MIN_POSITIVE)),
        1 => Bound::Rel(e),
        2 => Bound::Nrmse(e),
        3 => Bound::Psnr(-20.0 * exponent),
        4 => Bound::BlockL2((e * range * 20.0).max(f64::MIN_POSITIVE)),
        _ => Bound::Lossless,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 60 } else { 400 }))]

    #[test]
    fn bounds_hold_on_f64(
        dims in prop::collection::vec(1usize..14, 1..=5), wide in 1usize..40, kind in kinds(), bound in bounds(), seed: u64,
        specials: bool, fast: bool,
    ) {
        let mut dims = dims;
        *dims.last_mut().unwrap() = wide;
        let values = field(kind, dims.iter().product(), wide, seed, specials);
        let bound = bound_of(bound, &values);
        let (_, out) = round_trip(&codec(if fast { Effort::Fast } else { Effort::Normal }), &values, &dims, bound);
        assert_bound(&values, &out, &dims, bound);
    }

    #[test]
    fn bounds_hold_on_f32(
        dims in prop::collection::vec(1usize..14, 1..=5), wide in 1usize..40, kind in kinds(), bound in bounds(), seed: u64,
        specials: bool, fast: bool,
    ) {
        let mut dims = dims;
        *dims.last_mut().unwrap() = wide;
        let values: Vec<f32> = field(kind, dims.iter().product(), wide, seed, specials).iter().map(|&v| v as f32).collect();
        let exact: Vec<f64> = values.iter().map(|&v| f64::from(v)).collect();
        let bound = bound_of(bound, &exact);
        let (_, out) = round_trip(&codec(if fast { Effort::Fast } else { Effort::Normal }), &values, &dims, bound);
        assert_bound(&values, &out, &dims, bound);
    }

    #[test]
    fn a_box_is_the_same_as_in_the_whole(
        dims in prop::collection::vec(1usize..12, 1..=4), start in prop::collection::vec(0usize..12, 4), count in prop::collection::vec(1usize..12, 4), seed: u64,
        frames in 1usize..60, lossless: bool,
    ) {
        let mut dims = dims;
        dims.insert(dims.len().saturating_sub(2), frames);
        let values = field(Kind::Smooth, dims.iter().product(), dims[dims.len() - 1], seed, false);
        let codec = codec(Effort::Fast);
        let bound = if lossless { Bound::Lossless } else { Bound::Nrmse(1e-3) };
        let (bytes, whole) = round_trip(&codec, &values, &dims, bound);
        let start: Vec<usize> = dims.iter().zip(start.iter().chain(&[0])).map(|(n, s)| s % n).collect();
        let count: Vec<usize> = dims.iter().zip(&start).zip(count.iter().chain(&[3])).map(|((n, s), c)| (*c).min(n - s)).collect();
        let request = Request { region: Some(fieldpress::Region { start: start.clone(), count: count.clone() }), ..Default::default() };
        let shape = request.output_shape(&inspect(&bytes).unwrap()).unwrap();
        let mut out = vec![0.0f64; shape.len()];
        codec.decompress(&bytes, &request, &mut FieldViewMut::new(&mut out, shape.dims()).unwrap()).unwrap();
        for (i, v) in out.iter().enumerate() {
            let mut rest = i;
            let mut at = 0;
            let mut stride = 1;
            for axis in (0..dims.len()).rev() {
                at += (rest % count[axis] + start[axis]) * stride;
                rest /= count[axis];
                stride *= dims[axis];
            }
            prop_assert_eq!(v.to_bits(), whole[at].to_bits());
        }
    }
}

/// Blocks have eight frames, counted from a field's first one, and segments must not cut them.
#[test]
fn segments_keep_the_blocks_of_block_l2_whole() {
    let dims = [32, 16, 16];
    let values = field(Kind::Noise, dims.iter().product(), dims[2], 3, false);
    let with = |frames| {
        let segment = std::num::NonZeroU16::new(frames);
        Codec::new(Options::default().with_segment(segment).with_threads(1).with_fm(FmMode::Off)).unwrap()
    };
    for frames in [1, 4, 12] {
        let field = FieldView::new(&values, &dims).unwrap();
        let error = with(frames).compress(&field, Bound::BlockL2(1.0)).unwrap_err();
        assert!(error.message().contains("multiple of 8"), "{error}");
    }
    for frames in [8, 24] {
        let (_, decoded) = round_trip(&with(frames), &values, &dims, Bound::BlockL2(1.0));
        assert_bound(&values, &decoded, &dims, Bound::BlockL2(1.0));
    }
}

/// Graphs see multiples of 32 rows and columns: of series of points they would see padding alone.
#[test]
fn the_model_stays_out_of_frames_of_few_points() {
    let codec = Codec::new(Options::default().with_fm(FmMode::On).with_threads(1)).unwrap();
    for dims in [[500, 1, 1], [40, 2, 60], [40, 5, 5]] {
        let values = field(Kind::Smooth, dims.iter().product(), 20, 9, false);
        let (bytes, decoded) = round_trip(&codec, &values, &dims, Bound::Rel(1e-2));
        assert_bound(&values, &decoded, &dims, Bound::Rel(1e-2));
        assert!(inspect(&bytes).unwrap().model.is_none(), "{dims:?}");
    }
}

/// Samples err; streams that they leave in doubt, as all of these are, are made without the model, too.
#[test]
fn the_model_makes_no_stream_larger() {
    let dims = [12usize, 65, 90];
    let n = dims[1] * dims[2];
    let field = |mask: bool| -> Vec<f32> {
        (0..dims[0] * n)
            .map(|i| {
                let (t, y, x) = ((i / n) as f32, (i % n / dims[2]) as f32, (i % dims[2]) as f32);
                let front = ((x - 3.0 * t - 20.0 + 4.0 * (0.2 * y).sin()) * 0.6).tanh();
                if mask && (0.11 * y).sin() * (0.07 * x).cos() > 0.1 { f32::NAN } else { front }
            })
            .collect()
    };
    for effort in [Effort::Normal, Effort::High] {
        let options = Options::default().with_effort(effort).with_threads(1);
        let [auto, off] = [FmMode::Auto, FmMode::Off].map(|fm| Codec::new(options.clone().with_fm(fm)).unwrap());
        for mask in [false, true] {
            let values = field(mask);
            for bound in
                [Bound::Nrmse(2.8e-2), Bound::Nrmse(4e-3), Bound::Psnr(60.0), Bound::Abs(4e-2), Bound::Rel(4e-3)]
            {
                let (with, out) = round_trip(&auto, &values, &dims, bound);
                assert_bound(&values, &out, &dims, bound);
                let (without, _) = round_trip(&off, &values, &dims, bound);
                assert!(with.len() <= without.len(), "{effort:?} {bound} {mask}: {} {}", with.len(), without.len());
            }
        }
    }
}

/// A mean over a cell is one over its points with data, also in streams without loss, which do not know what marks
/// others.
#[test]
fn reduced_lossless_fields_leave_out_points_without_data() {
    let dims = [2, 4, 4];
    let mut values: Vec<f64> = (0..32).map(f64::from).collect();
    (values[0], values[5], values[2]) = (1e20, f64::NAN, f64::INFINITY);
    [8, 9, 12, 13].iter().for_each(|&k| values[k] = 1e20);
    let codec = Codec::new(Options::default().with_fill_value(1e20)).unwrap();
    let (bytes, _) = codec.compress(&FieldView::new(&values, &dims).unwrap(), Bound::Lossless).unwrap();
    let request = Request { scale: fieldpress::Scale::Half, ..Default::default() };
    let mut out = vec![0.0; 8];
    codec.decompress(&bytes, &request, &mut FieldViewMut::new(&mut out, &[2, 2, 2]).unwrap()).unwrap();
    let wanted = [2.5, (3.0 + 6.0 + 7.0) / 3.0, 1e20, 12.5, 18.5, 20.5, 26.5, 28.5];
    let near = |(a, b): (&f64, f64)| (a - b).abs() <= 1e-15 * b;
    assert!(out.iter().zip(wanted).all(near), "{out:?}");
}

/// What the types of this library let a caller say, and no text would.
#[test]
fn bounds_that_mean_nothing_are_refused() {
    let codec = codec(Effort::Fast);
    let values = [1.0f32, 2.0, 3.0];
    for bound in [Bound::Abs(0.0), Bound::Rel(-1.0), Bound::Nrmse(f64::NAN), Bound::BlockL2(f64::INFINITY)] {
        let error = codec.compress(&FieldView::new(&values, &[3]).unwrap(), bound).unwrap_err();
        assert_eq!(error.kind(), fieldpress::ErrorKind::InvalidArgument, "{bound}");
    }
}

/// Bounds of any size, over fields of any size: next to nothing of the range, and far beyond it.
#[test]
fn bounds_of_any_size_hold() {
    let dims = [6, 9, 8, 5];
    let plain: Vec<f64> = (0..2160).map(|i| (0.11 * f64::from(i)).sin() + f64::from(i % 7)).collect();
    for effort in [Effort::Fast, Effort::Normal] {
        let codec = codec(effort);
        for exponent in [-320, -300, -200, -163, -150, -40, -12, 12, 40, 150, 200, 300] {
            let size: f64 = format!("1e{exponent}").parse().unwrap();
            for unit in [1.0, 1e30, 1e-30] {
                let values: Vec<f32> = plain.iter().map(|v| (v * unit) as f32).collect();
                for bound in [Bound::Nrmse(size), Bound::Abs(size), Bound::Rel(size), Bound::BlockL2(size)] {
                    assert_bound(&values, &round_trip(&codec, &values, &dims, bound).1, &dims, bound);
                }
            }
            for unit in [1e300, 1e-300] {
                let values: Vec<f64> = plain.iter().map(|v| v * unit).collect();
                for bound in [Bound::Abs(size), Bound::Rel(size), Bound::BlockL2(size)] {
                    let (_, decoded) = round_trip(&codec, &values, &dims, bound);
                    let range = unit * (plain.iter().fold(0.0, |a: f64, b| a.max(*b)) + 1.0);
                    let allowed = if matches!(bound, Bound::Rel(_)) { size * range } else { size };
                    let largest = values.iter().zip(&decoded).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                    assert!(largest <= allowed, "{bound} {unit:e}: {largest:e}");
                }
            }
        }
        for decibels in [1e-300, 1.0, 3000.0, 1e4, 1e300] {
            let values: Vec<f32> = plain.iter().map(|v| *v as f32).collect();
            round_trip(&codec, &values, &dims, Bound::Psnr(decibels));
        }
    }
}

/// Squares of values below 1e-150 or above 1e150 are no f64 numbers, and what is promised and reported of them is the
/// same.
#[test]
fn streams_do_not_depend_on_units() {
    let dims = [12, 24, 20];
    let values = field(Kind::Smooth, dims.iter().product(), dims[2], 5, false);
    for (effort, fm) in [(Effort::Fast, FmMode::Off), (Effort::Normal, FmMode::Off), (Effort::High, FmMode::On)] {
        let codec = Codec::new(Options::default().with_effort(effort).with_fm(fm).with_threads(1)).unwrap();
        for bound in [Bound::Nrmse(3e-3), Bound::Psnr(60.0), Bound::Rel(1e-3), Bound::BlockL2(0.1)] {
            let told = |exponent: i32| {
                let unit = 2f64.powi(exponent);
                let bound = if let Bound::BlockL2(tau) = bound { Bound::BlockL2(tau * unit) } else { bound };
                let scaled: Vec<f64> = values.iter().map(|v| v * unit).collect();
                let view = FieldView::new(&scaled, &dims).unwrap();
                let (bytes, report) = codec.compress(&view, bound).unwrap();
                let (again, decoded) = round_trip(&codec, &scaled, &dims, bound);
                assert!(bytes == again);
                let decoded: Vec<f64> = decoded.iter().map(|v| v / unit).collect();
                (bytes.len(), report.info.nrmse, decoded)
            };
            let usual = told(0);
            assert!(usual.1 > 0.0);
            for exponent in [-900, -510, 510, 900] {
                assert!(told(exponent) == usual, "{effort:?} {bound} 2^{exponent}");
            }
        }
    }
}

#[test]
fn constant_fields_cost_under_100_bytes() {
    for dims in [vec![1], vec![7, 3], vec![100, 200, 300], vec![10, 10, 10, 10, 10]] {
        let values = vec![273.15f32; dims.iter().product()];
        let (bytes, out) = round_trip(&codec(Effort::Normal), &values, &dims, Bound::Nrmse(1e-3));
        assert!(bytes.len() < 100, "{} bytes", bytes.len());
        assert_eq!(out, values);
    }
}

#[test]
fn strided_interiors_are_read_and_written_in_place() {
    let (h, w, halo) = (20, 30, 2);
    let stride = w + 2 * halo;
    let outer: Vec<f64> = (0..(h + 2 * halo) * stride).map(|i| ((i % stride) as f64 * 0.1).sin()).collect();
    let first = halo * stride + halo;
    let view = FieldView::strided(&outer[first..], &[h, w], &[stride, 1]).unwrap();
    let codec = codec(Effort::Normal);
    let (bytes, _) = codec.compress(&view, Bound::Abs(1e-4)).unwrap();
    let interior: Vec<f64> = (0..h * w).map(|i| outer[first + i / w * stride + i % w]).collect();
    let (plain, _) = codec.compress(&FieldView::new(&interior, &[h, w]).unwrap(), Bound::Abs(1e-4)).unwrap();
    assert_eq!(bytes, plain, "strides must not show in the stream");
    let mut out = vec![f64::NAN; outer.len()];
    codec
        .decompress(
            &bytes,
            &Request::default(),
            &mut FieldViewMut::strided(&mut out[first..], &[h, w], &[stride, 1]).unwrap(),
        )
        .unwrap();
    for (i, v) in out.iter().enumerate() {
        let (y, x) = (i / stride, i % stride);
        let inside = (halo..halo + h).contains(&y) && (halo..halo + w).contains(&x);
        assert_eq!(inside, !v.is_nan());
        assert!(!inside || (v - outer[i]).abs() <= 1e-4);
    }
}

#[test]
fn the_fill_value_is_masked_and_costs_little() {
    let (t, h, w) = (16, 40, 60);
    let values: Vec<f32> = (0..t * h * w)
        .map(|i| {
            let (y, x) = (i / w % h, i % w);
            if (x * x + y * y) % 700 < 200 { 1e34 } else { (x as f32 * 0.1).sin() + i as f32 * 1e-5 }
        })
        .collect();
    let options = Options::default().with_fill_value(1e34).with_fm(FmMode::Off);
    let codec = Codec::new(options).unwrap();
    let (bytes, out) = round_trip(&codec, &values, &[t, h, w], Bound::Nrmse(1e-3));
    assert!(values.iter().zip(&out).all(|(a, b)| (*a == 1e34) == (*b == 1e34)));
    assert!(bytes.len() * 20 < values.len() * 4, "{} bytes", bytes.len());
}

#[test]
fn several_tiles_and_segments_share_one_error_budget() {
    let (t, h, w) = (140, 40, 4000);
    let values: Vec<f32> = field(Kind::Smooth, t * h * w, w, 5, false)
        .iter()
        .enumerate()
        .map(|(i, v)| (*v as f32) * (1.0 + (i / (h * w)) as f32 * 0.01))
        .collect();
    for threads in [1, 2] {
        let options = Options::default().with_effort(Effort::Fast).with_threads(threads);
        let (_, out) = round_trip(&Codec::new(options).unwrap(), &values, &[t, h, w], Bound::Nrmse(1e-3));
        assert_bound(&values, &out, &[t, h, w], Bound::Nrmse(1e-3));
    }
}

#[test]
fn long_incompressible_fields_stay_within_the_promise() {
    // Random bits: more sections than 512 bytes could list, were they of a fixed size.
    let n = 14_000_000;
    let mut state = 7u64;
    let values: Vec<f32> = (0..n)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f32::from_bits((state >> 32) as u32)
        })
        .collect();
    // Also checks the length.
    let (_, out) = round_trip(&codec(Effort::Fast), &values, &[n], Bound::Lossless);
    assert!(values.iter().zip(&out).all(|(a, b)| a.to_bits() == b.to_bits()));
}

/// Numbers so small that a bound is few times their spacing: it is not taken for the next larger one.
#[test]
fn relative_bounds_hold_on_the_smallest_numbers() {
    let dims = [6, 16, 16];
    let steps: Vec<u64> = (0..dims.iter().product::<usize>() as u64).map(|i| i * i * 31 % 200).collect();
    let values: Vec<f64> = steps.iter().map(|&n| f64::from_bits(n)).collect();
    let range = *steps.iter().max().unwrap();
    let codec = Codec::new(Options::default().with_threads(1).with_fm(FmMode::Off)).unwrap();
    for epsilon in [0.0135, 0.0076, 0.0024, 0.0401] {
        let field = FieldView::new(&values, &dims).unwrap();
        let (stream, _) = codec.compress(&field, Bound::Rel(epsilon)).unwrap();
        let mut out = vec![0f64; values.len()];
        codec.decompress(&stream, &Request::default(), &mut FieldViewMut::new(&mut out, &dims).unwrap()).unwrap();
        let allowed = (epsilon * range as f64) as u64;
        for (exact, decoded) in steps.iter().zip(&out) {
            let decoded = if decoded.is_sign_negative() { 0 } else { decoded.to_bits() };
            assert!(exact.abs_diff(decoded) <= allowed, "{epsilon}: {exact} became {decoded}, allowed {allowed}");
        }
    }
}
