//! The bound holds on other devices: streams that use the model are decoded with every output of every graph moved by
//! just under the grid (docs/design.md, the same bytes everywhere).

use crate::model::Model;
use crate::model::testing::runtime;
use crate::predict::fm;
use crate::{Bound, Codec, Device, Effort, FieldView, FieldViewMut, FmMode, Options, Request, inspect};

/// A number of threads that no other test asks for, so that no other test shares the model.
const THREADS: usize = 3;

fn moving(dims: &[usize; 3]) -> Vec<f32> {
    let [_, h, w] = *dims;
    (0..dims.iter().product())
        .map(|i| {
            let (t, y, x) = ((i / (h * w)) as f32, (i / w % h) as f32, (i % w) as f32);
            let wave = |a: f32, b: f32, v: f32| (a * (x - v * t) + b * (y + 0.6 * v * t)).sin();
            wave(0.11, 0.07, 0.8)
                + 0.6 * wave(0.23, -0.19, 1.1)
                + 0.4 * wave(-0.37, 0.31, 0.5)
                + 0.2 * wave(0.6, 0.5, 1.4)
        })
        .collect()
}

/// A pattern that stays, under noise that does not: no work for the interpolator.
fn steady(dims: &[usize; 3]) -> Vec<f32> {
    let n = dims[1] * dims[2];
    let pattern = moving(&[1, dims[1], dims[2]]);
    (0..dims[0] * n)
        .map(|i| {
            let noise = (i as u32).wrapping_mul(0x9e37_79b9).rotate_left(13).wrapping_mul(0x85eb_ca6b) >> 16;
            pattern[i % n] + noise as f32 / 1e6
        })
        .collect()
}

/// The largest ℓ2 norm of a block of 8 × 8 × 8 errors.
fn largest_norm(errors: &[f64], [_, h, w]: &[usize; 3]) -> f64 {
    let mut squares = std::collections::HashMap::new();
    for (i, error) in errors.iter().enumerate() {
        let block = [i / (h * w), i / w % h, i % w].map(|at| at / 8);
        *squares.entry(block).or_insert(0.0) += error * error;
    }
    squares.into_values().fold(0.0, f64::max).sqrt()
}

#[test]
fn the_bound_holds_where_every_output_of_the_model_is_moved() {
    runtime();
    let options = Options { threads: Some(THREADS), device: Device::Cpu, fm: FmMode::On, ..Options::default() };
    // The highest effort enhances, too; a package of latents alone has no other mode.
    let latents = Some(concat!(env!("CARGO_MANIFEST_DIR"), "/models/reference").into());
    let latents = Options { model: latents, ..options.clone() };
    let high = Options { effort: Effort::High, ..options.clone() };
    let codecs = [options, high, latents].map(|options| {
        let model = Model::open(&options).unwrap();
        (Codec::new(options).unwrap(), model)
    });
    let mut used = Vec::new();
    let cases = [
        ([7, 48, 64], Bound::Nrmse(4e-3)),
        ([17, 48, 64], Bound::Nrmse(1e-3)),
        ([17, 48, 64], Bound::Abs(5e-3)),
        ([16, 64, 64], Bound::Nrmse(1e-2)),
        ([16, 64, 64], Bound::Abs(2e-2)),
        ([17, 48, 64], Bound::Rel(1e-2)),
        ([17, 48, 64], Bound::BlockL2(0.3)),
    ];
    let mut corrected = Vec::new();
    for ((codec, model), (dims, bound)) in codecs.iter().flat_map(|codec| cases.map(|case| (codec, case))) {
        let values = if dims[1] == dims[2] { steady(&dims) } else { moving(&dims) };
        let (bytes, _) = codec.compress(&FieldView::new(&values, &dims).unwrap(), bound).unwrap();
        let info = inspect(&bytes).unwrap();
        used.extend(info.model.is_some().then(|| info.modes[0].0.split(':').next().unwrap().to_owned()));
        let decode = || {
            let mut out = vec![0f32; values.len()];
            codec.decompress(&bytes, &Request::default(), &mut FieldViewMut::new(&mut out, &dims).unwrap()).unwrap();
            out
        };
        let plain = decode();
        model.set_perturbation(0.999);
        let moved = decode();
        model.set_perturbation(0.0);
        assert_eq!(plain != moved, info.model.is_some(), "{dims:?} {bound}: what is moved must show");
        // Enhanced frames that are corrected came with this version.
        corrected.extend((bytes[4] == 9).then_some(std::mem::discriminant(&bound)));
        let errors: Vec<f64> = values.iter().zip(&moved).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect();
        let rms = (errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64).sqrt();
        let largest = errors.iter().map(|e| e.abs()).fold(0.0, f64::max);
        match bound {
            Bound::Nrmse(e) => assert!(rms <= e * info.range, "{dims:?} {bound}: {rms} over {}", info.range),
            Bound::Abs(e) => assert!(largest <= e, "{dims:?} {bound}: {largest}"),
            Bound::Rel(e) => assert!(largest <= e * info.range, "{dims:?} {bound}: {largest}"),
            Bound::BlockL2(tau) => {
                let norm = largest_norm(&errors, &dims);
                assert!(norm <= tau, "{dims:?} {bound}: {norm}");
            }
            _ => unreachable!("not among the bounds above"),
        }
    }
    for bound in [Bound::Rel(1.0), Bound::BlockL2(1.0)] {
        assert!(corrected.contains(&std::mem::discriminant(&bound)), "{bound}: nothing is enhanced and corrected");
    }
    assert!(used.contains(&"hierarchical".to_owned()) && used.contains(&"latents".to_owned()), "{used:?}");
}

/// The finest bounds that the model is used at leave room for what instruction sets were seen to differ by; finer ones
/// do without it.
#[test]
fn the_model_stays_out_where_floats_are_coarser_than_the_grid() {
    const SEEN: f32 = 1e-6;
    runtime();
    let options = Options { threads: Some(THREADS + 1), device: Device::Cpu, fm: FmMode::On, ..Options::default() };
    let codec = Codec::new(options.clone()).unwrap();
    let model = Model::open(&options).unwrap();
    let dims = [17, 48, 64];
    let values = moving(&dims);
    let view = FieldView::new(&values, &dims).unwrap();
    // Points are coded at a step of about two half-widths, and the field's range is between a half and one in working
    // units.
    let (low, high) = values.iter().fold((0f32, 0f32), |(low, high), v| (low.min(*v), high.max(*v)));
    let scale = 2f64.powi(libm::ilogb(f64::from(high - low)) + 1);
    let coarsest = f64::from(fm::FINEST_GRID) * 4096.0 * 1.2 * scale / 2.0;
    let mut used = Vec::new();
    for finer in [0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 4.0, 300.0] {
        let epsilon = coarsest / finer;
        let (bytes, _) = codec.compress(&view, Bound::Abs(epsilon)).unwrap();
        used.push(inspect(&bytes).unwrap().model.is_some());
        model.set_perturbation(SEEN / fm::FINEST_GRID);
        let mut out = vec![0f32; values.len()];
        codec.decompress(&bytes, &Request::default(), &mut FieldViewMut::new(&mut out, &dims).unwrap()).unwrap();
        model.set_perturbation(0.0);
        let largest = values.iter().zip(&out).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs()).fold(0.0, f64::max);
        assert!(largest <= epsilon, "{largest} over {epsilon}");
    }
    // Once it stays out, it does for all that are finer.
    assert!(used[0] && !used[7] && used.is_sorted_by(|coarser, finer| coarser >= finer), "{used:?}");
}
