//! The foundation model inside the codec: used, bounded, and safe against another device's floats. These need ONNX
//! Runtime (`tools/test` provides it) and say so where it is missing.

use super::{Codec, Request, inspect};
use crate::bound::Bound;
use crate::field::{FieldView, FieldViewMut, Shape};
use crate::model::Model;
use crate::options::{Effort, FmMode, Options};
use crate::predict::fm;
use crate::stream::{Content, Stream};

/// A flow of drifting, turning waves, `[t][h][w]`: what interpolation in time is for.
fn flow(t: usize, h: usize, w: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(t * h * w);
    for k in 0..t {
        for y in 0..h {
            for x in 0..w {
                let (x, y, s) = (x as f32 * 0.09, y as f32 * 0.07, k as f32 * 0.22);
                let wave = (x + 0.6 * y - s).sin() + (0.7 * x - y + 1.3 * s).cos();
                out.push(wave * (1.0 + 0.3 * (0.5 * x * y * 0.1 + s * 0.5).sin()));
            }
        }
    }
    out
}

/// Noise in 0..1.
fn hash(a: u32, b: u32) -> f32 {
    let mixed = (a ^ b.rotate_left(16)).wrapping_mul(0x9e37_79b9).rotate_left(13).wrapping_mul(0x85eb_ca6b);
    ((mixed ^ mixed >> 15).wrapping_mul(0xc2b2_ae35) >> 8) as f32 / (1 << 24) as f32
}

/// Noise at every sixth point, smooth between.
fn texture(y: f32, x: f32) -> f32 {
    let (y, x) = (y / 6.0, x / 6.0);
    let smooth = |v: f32| v * v * (3.0 - 2.0 * v);
    let (sy, sx) = (smooth(y.fract()), smooth(x.fract()));
    let at = |dy: u32, dx: u32| hash(y as u32 + dy, x as u32 + dx);
    let row = |dy: u32| at(dy, 0) * (1.0 - sx) + at(dy, 1) * sx;
    row(0) * (1.0 - sy) + row(1) * sy
}

/// Options with a number of threads that no other test uses: models are shared by it, and these are perturbed.
fn options(threads: usize) -> Options {
    Options { fm: FmMode::On, threads: Some(threads), ..Default::default() }
}

fn decode(codec: &Codec, bytes: &[u8], dims: &[usize]) -> Vec<f32> {
    let mut out = vec![0.0; dims.iter().product()];
    codec.decompress(bytes, &Request::default(), &mut FieldViewMut::new(&mut out, dims).unwrap()).unwrap();
    out
}

#[test]
fn bounds_hold_on_a_device_whose_floats_differ() {
    let dims = [17, 64, 96];
    let values = flow(dims[0], dims[1], dims[2]);
    let codec = Codec::new(options(5)).unwrap();
    let model =
        Model::open(codec.options()).expect("these tests need ONNX Runtime: set ORT_DYLIB_PATH (tools/test does)");
    let range = values.iter().fold(f32::MIN, |m, &v| m.max(v)) - values.iter().fold(f32::MAX, |m, &v| m.min(v));
    for bound in [Bound::Nrmse(1e-2), Bound::Nrmse(1e-3), Bound::Abs(0.02), Bound::Psnr(60.0)] {
        model.set_perturbation(0.0);
        let (bytes, report) = codec.compress(&FieldView::new(&values, &dims).unwrap(), bound).unwrap();
        assert!(report.info.fm_share > 0.0, "{bound}: the model was forced, and not used");
        let here = decode(&codec, &bytes, &dims);
        model.set_perturbation(0.999);
        let there = decode(&codec, &bytes, &dims);
        model.set_perturbation(0.0);
        assert_ne!(here, there, "{bound}: the perturbation reached nothing, so this test shows nothing");
        for out in [here, there] {
            let errors = values.iter().zip(&out).map(|(a, b)| f64::from(*a) - f64::from(*b));
            let largest = errors.clone().fold(0.0f64, |m, e| m.max(e.abs()));
            let rms = (errors.map(|e| e * e).sum::<f64>() / values.len() as f64).sqrt();
            match bound {
                Bound::Nrmse(e) => assert!(rms <= e * f64::from(range), "{bound}: {rms}"),
                Bound::Psnr(d) => assert!(rms <= f64::from(range) * 10f64.powf(-d / 20.0), "{bound}: {rms}"),
                _ => assert!(largest <= bound.value(), "{bound}: {largest}"),
            }
        }
    }
}

/// The margin for other devices' floats is asked of the segments that use the model, and of no others.
#[test]
fn segments_without_the_model_may_use_a_pointwise_bound_up() {
    // The first segment is a texture that drifts, which the model tells from the frames around; the second is noise.
    let dims = [160, 64, 64];
    let values: Vec<f32> = (0..dims.iter().product())
        .map(|i: usize| {
            let (t, y, x) = (i / 4096, i / 64 % 64, i % 64);
            if t < 128 { texture(y as f32 + 0.8 * t as f32, x as f32 + 1.3 * t as f32) } else { hash(i as u32, 7) }
        })
        .collect();
    let codec = Codec::new(Options { fm: FmMode::Auto, ..options(1) }).unwrap();
    for bound in [Bound::Abs(0.02), Bound::Rel(0.02)] {
        let (bytes, report) = codec.compress(&FieldView::new(&values, &dims).unwrap(), bound).unwrap();
        assert!(report.info.fm_share > 0.5 && report.info.fm_share < 1.0, "{bound}: {}", report.info.fm_share);
        assert_eq!(report.info.sections.lossless, 0, "{bound}");
        let largest = values.iter().zip(decode(&codec, &bytes, &dims)).map(|(a, b)| f64::from((a - b).abs()));
        assert!((largest.fold(0.0, f64::max) - report.info.max_abs_error).abs() < 1e-6, "{bound}");
    }
}

#[test]
fn streams_that_use_the_model_do_not_depend_on_threads() {
    let dims = [9, 64, 64];
    let values = flow(dims[0], dims[1], dims[2]);
    let view = FieldView::new(&values, &dims).unwrap();
    let streams: Vec<_> = [1, 2]
        .into_iter()
        .map(|threads| Codec::new(options(threads)).unwrap().compress(&view, Bound::Nrmse(4e-3)).unwrap().0)
        .collect();
    let info = inspect(&streams[0]).unwrap();
    assert!(info.model.is_some());
    assert_eq!(streams[0], streams[1]);
}

#[test]
fn a_model_that_is_not_there_is_named() {
    let dims = [9, 64, 64];
    let values = flow(dims[0], dims[1], dims[2]);
    let view = FieldView::new(&values, &dims).unwrap();
    let codec = Codec::new(options(1)).unwrap();
    let (bytes, _) = codec.compress(&view, Bound::Nrmse(4e-3)).unwrap();
    // The header's checksum is set right again, so that only the hash differs.
    let stream = Stream::parse(&bytes).unwrap();
    let Content::Segments { model: Some(model), .. } = &stream.header.content else {
        panic!("the model was forced, and not used");
    };
    let mut header = stream.header.clone();
    let sections: Vec<Vec<u8>> = (0..stream.len()).map(|k| stream.section(k).unwrap().to_vec()).collect();
    if let Content::Segments { model: Some(model), .. } = &mut header.content {
        model.hash[0] ^= 1;
    }
    let changed = crate::stream::assemble(&header, &sections);
    let mut out = vec![0f32; values.len()];
    let request = Request::default();
    let error = codec.decompress(&changed, &request, &mut FieldViewMut::new(&mut out, &dims).unwrap()).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Model);
    assert!(error.message().contains(&model.name), "{error}");
    let mut hash = model.hash;
    hash[0] ^= 1;
    assert!(error.message().contains(&crate::model::hex(&hash)), "{error}");
}

#[test]
fn the_grid_is_finer_than_any_step() {
    for octave in -40..10 {
        let step = crate::predict::Step(octave * 256 + 17);
        let grid = f64::from(fm::grid(step));
        assert!(grid <= step.value() / 1024.0 && grid > 0.0 && grid.log2().fract() == 0.0);
    }
}

/// A copy of the shipped package, of the parts named alone, whose manifest lets graphs see frames of any size, which
/// they fail on where rows are odd.
fn failing(name: &str, parts: &[&str]) -> std::path::PathBuf {
    let from = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/default");
    let to = std::env::temp_dir().join(format!("fieldpress-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&to).unwrap();
    for entry in std::fs::read_dir(&from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
    let manifest = to.join("manifest.json");
    let mut content: serde_json::Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    for part in ["interpolator", "enhancer", "enhancer_fine", "latents"] {
        match parts.contains(&part) {
            true => content[part]["align"] = 1.into(),
            false => drop(content.as_object_mut().unwrap().remove(part)),
        }
    }
    std::fs::write(&manifest, content.to_string()).unwrap();
    to
}

#[test]
fn a_graph_that_fails_costs_the_gain_and_not_the_checkpoint() {
    let dims = [17, 65, 97];
    let values = flow(dims[0], dims[1], dims[2]);
    let view = FieldView::new(&values, &dims).unwrap();
    let folder = failing("failing", &["interpolator", "enhancer", "enhancer_fine"]);
    for effort in [Effort::Normal, Effort::High] {
        let with = |fm| Options { effort, fm, model: Some(folder.clone()), ..options(1) };
        let plain = Codec::new(with(FmMode::Off)).unwrap().compress(&view, Bound::Nrmse(4e-3)).unwrap().0;
        let (bytes, report) = Codec::new(with(FmMode::Auto)).unwrap().compress(&view, Bound::Nrmse(4e-3)).unwrap();
        assert!(bytes == plain && report.info.fm_share == 0.0);
        // What must have the model says what failed.
        let error = Codec::new(with(FmMode::On)).unwrap().compress(&view, Bound::Nrmse(4e-3)).unwrap_err();
        assert!(error.kind() == crate::ErrorKind::Runtime && error.message().contains(".onnx failed"), "{error}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// The sample on which the mode is decided with `fm=on` has 64 × 128 points, which the graphs take, and the frames have
/// not: it is the check that sees the enhancer fail first, and where there is one segment what settles the step.
#[test]
fn a_graph_that_fails_late_costs_no_more() {
    let folder = failing("late", &["enhancer"]);
    let segment = std::num::NonZeroU16::new(16);
    for (frames, place) in [(32, "the check of the own output: enhancer.onnx failed"), (16, "enhancer.onnx failed")] {
        let dims = [frames, 161, 322];
        let values = flow(dims[0], dims[1], dims[2]);
        let view = FieldView::new(&values, &dims).unwrap();
        let with = |fm| Options { segment, fm, model: Some(folder.clone()), ..options(1) };
        let plain = Codec::new(with(FmMode::Off)).unwrap().compress(&view, Bound::Nrmse(4e-3)).unwrap().0;
        let (bytes, report) = Codec::new(with(FmMode::Auto)).unwrap().compress(&view, Bound::Nrmse(4e-3)).unwrap();
        assert!(bytes == plain && report.info.fm_share == 0.0);
        let error = Codec::new(with(FmMode::On)).unwrap().compress(&view, Bound::Nrmse(4e-3)).unwrap_err();
        assert!(error.kind() == crate::ErrorKind::Runtime && error.message().starts_with(place), "{error}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn frames_too_small_for_the_model_are_not_given_to_it() {
    let dims = [9, 64, 64];
    let values = flow(dims[0], dims[1], dims[2]);
    let codec = Codec::new(options(1)).unwrap();
    let (bytes, _) = codec.compress(&FieldView::new(&values, &dims).unwrap(), Bound::Nrmse(4e-3)).unwrap();
    assert!(inspect(&bytes).unwrap().model.is_some());
    // The same segment, said to be of small frames.
    let stream = Stream::parse(&bytes).unwrap();
    let sections: Vec<Vec<u8>> = (0..stream.len()).map(|k| stream.section(k).unwrap().to_vec()).collect();
    let small = [9, 8, 15];
    let header = crate::stream::Header { shape: Shape::new(&small).unwrap(), ..stream.header.clone() };
    let changed = crate::stream::assemble(&header, &sections);
    let mut out = vec![0f32; small.iter().product()];
    let request = Request::default();
    let error = codec.decompress(&changed, &request, &mut FieldViewMut::new(&mut out, &small).unwrap()).unwrap_err();
    assert!(error.kind() == crate::ErrorKind::Corrupt && error.message().contains("8 × 15"), "{error}");
    let values = flow(small[0], small[1], small[2]);
    let (bytes, _) = codec.compress(&FieldView::new(&values, &small).unwrap(), Bound::Nrmse(4e-3)).unwrap();
    assert!(inspect(&bytes).unwrap().model.is_none());
}

#[test]
fn a_lone_window_uses_its_bound_up_at_the_highest_effort() {
    // Frames of a texture that drifts: one window, whose frames are enhanced.
    let dims = [13, 96, 96];
    let n = dims[1] * dims[2];
    let values: Vec<f32> = (0..dims[0] * n)
        .map(|i| {
            let (t, y, x) = ((i / n) as f32, (i % n / dims[2]) as f32, (i % dims[2]) as f32);
            texture(y + 0.8 * t, x + 1.3 * t) + 0.5 * texture(0.5 * y + 90.0, 0.5 * x + 0.4 * t)
        })
        .collect();
    let codec = Codec::new(Options { effort: Effort::High, ..options(6) }).unwrap();
    for bound in [1e-2, 4e-3] {
        let (_, report) = codec.compress(&FieldView::new(&values, &dims).unwrap(), Bound::Nrmse(bound)).unwrap();
        let used = report.info.nrmse / bound;
        assert!(used > 0.97, "NRMSE {used} of the bound {bound}");
    }
}
