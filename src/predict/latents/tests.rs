use super::*;
use crate::model::testing;
use crate::options::Options;
use proptest::prelude::*;
use std::sync::Arc;

fn model() -> Arc<Model> {
    testing::model(&Options::default())
}

/// A window of waves within [−1, 1], `[frames, h, w]`.
fn window(frames: usize, h: usize, w: usize) -> Vec<f32> {
    let value = |i: usize| {
        let (t, y, x) = ((i / (h * w)) as f32 * 0.4, (i / w % h) as f32 * 0.11, (i % w) as f32 * 0.07);
        0.6 * (x + t).sin() * (y - 0.5 * t).cos() + 0.2 * (3.0 * x - 2.0 * y + t).sin()
    };
    (0..frames * h * w).map(value).collect()
}

#[test]
fn tiles_come_back_as_the_encoder_said() {
    let model = model();
    let frames = model.latents().unwrap().frames;
    for (frames, h, w, gain) in [(frames, 64, 64, 0), (frames, 64, 128, 3), (3, 70, 61, 2), (1, 1, 5, 1)] {
        let (bytes, reconstruction) = encode_tile(&model, &window(frames, h, w), frames, h, w, gain).unwrap();
        assert_eq!(reconstruction.len(), frames * h * w);
        assert_eq!(decode_tile(&model, &bytes, frames, h, w, 1).unwrap(), reconstruction);
        for scale in [2, 4] {
            let reduced = decode_tile(&model, &bytes, frames, h, w, scale).unwrap();
            assert_eq!(reduced.len(), frames * h.div_ceil(scale) * w.div_ceil(scale));
        }
    }
}

#[test]
fn one_analysis_serves_every_gain() {
    let model = model();
    let x = window(8, 64, 64);
    let analysis = analyse(&model, &x, 8, 64, 64).unwrap();
    for gain in 0..model.latents().unwrap().gains.len() {
        assert_eq!(analysis.encode(&model, gain).unwrap(), encode_tile(&model, &x, 8, 64, 64, gain).unwrap());
    }
    assert!(analysis.encode(&model, 1000).is_err());
}

#[test]
fn values_that_are_not_finite_are_no_failure() {
    let model = model();
    let mut x = window(8, 64, 64);
    x[100] = f32::NAN;
    x[7000] = f32::INFINITY;
    x[9000] = 3e38;
    let (bytes, reconstruction) = encode_tile(&model, &x, 8, 64, 64, 0).unwrap();
    assert!(reconstruction.iter().all(|value| value.is_finite()));
    assert_eq!(decode_tile(&model, &bytes, 8, 64, 64, 1).unwrap(), reconstruction);
}

#[test]
fn damaged_bytes_give_an_error_or_a_tile() {
    let model = model();
    let (bytes, _) = encode_tile(&model, &window(8, 64, 64), 8, 64, 64, 1).unwrap();
    let stride = bytes.len() / 40 + 1;
    for cut in (0..bytes.len()).step_by(stride) {
        if let Ok(tile) = decode_tile(&model, &bytes[..cut], 8, 64, 64, 4) {
            assert_eq!(tile.len(), 8 * 16 * 16);
        }
    }
    for at in (0..bytes.len()).step_by(stride) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        if let Ok(tile) = decode_tile(&model, &damaged, 8, 64, 64, 4) {
            assert_eq!(tile.len(), 8 * 16 * 16);
        }
    }
    assert!(decode_tile(&model, &[], 8, 64, 64, 1).is_err());
    assert!(decode_tile(&model, &[255], 8, 64, 64, 1).is_err());
    assert!(decode_tile(&model, &bytes, 8, 64, 64, 3).is_err());
    assert!(decode_tile(&model, &bytes, 8, 64, 100_000, 1).is_err());
    assert!(decode_tile(&model, &bytes, 9_000, 64, 64, 1).is_err());
}

proptest! {
    #[test]
    fn sections_read_what_they_write(gain_index: u8, coded: Vec<u8>) {
        let section = Section { gain_index, coded: &coded };
        let bytes = section.write();
        prop_assert_eq!(Section::read(&bytes).unwrap(), section);
    }
}

#[test]
fn rounding_takes_any_float() {
    assert_eq!([0.5, 1.5, -0.5, -2.5, 200.0, -200.0].map(|value| round(value, 127)), [0, 2, 0, -2, 127, -127]);
    assert_eq!([f32::NAN, f32::INFINITY, f32::NEG_INFINITY].map(|value| round(value, 9)), [0, 9, -9]);
}

#[test]
fn a_prior_holds_integers_only() {
    assert!(Prior::new(&[0.0, -3.0], &[0.0, 63.0]).is_ok());
    for (mean, index) in [(0.5, 0.0), (f32::NAN, 0.0), (1e9, 0.0), (0.0, 64.0), (0.0, -1.0), (0.0, f32::NAN)] {
        assert!(Prior::new(&[mean], &[index]).is_err(), "{mean} {index}");
    }
}

/// The hyper-decoder gives the same integers, and the entropy coder the same bytes, whatever computes it.
mod exactness {
    use super::*;
    use crate::model::exactness::{Variant, hyper_decoders};

    /// Hyper-latents, `[Cz, 4, 4]`: small ones as a trained model's, all at a limit, and any at all.
    fn hyper_latents(channels: usize) -> Vec<Vec<i32>> {
        let mut state = 0x1234_5678_9abc_def1_u64;
        let mut next = |limit: i32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as i32 % (2 * limit + 1) - limit
        };
        let len = channels * 16;
        let mut sets: Vec<Vec<i32>> = [2, 9, MAX_Z, MAX_Z].map(|limit| (0..len).map(|_| next(limit)).collect()).into();
        sets.extend([0, MAX_Z, -MAX_Z].map(|value| vec![value; len]));
        sets
    }

    #[test]
    fn integers_and_bytes_are_the_same_however_they_are_computed() {
        let model = model();
        let part = model.latents().unwrap();
        let geometry = Geometry::new(part, part.frames, 4 * part.z_downsample, 4 * part.z_downsample).unwrap();
        let variants = hyper_decoders(&model);
        assert_eq!(variants.len(), 3 * 2 * 4, "three graphs, two thread counts, four optimisation levels");
        for z in hyper_latents(part.z_channels) {
            let fed: Vec<f32> = z.iter().map(|z| *z as f32).collect();
            let mut expected: Option<(Prior, Vec<u8>)> = None;
            for Variant { name, graph } in &variants {
                let feed = Feed { shape: &geometry.z, values: &fed };
                let outputs = graph.run(&[feed], &[&geometry.y, &geometry.y]).unwrap();
                let prior = Prior::new(&outputs[0], &outputs[1]).unwrap();
                // Latents as the prior expects them: the mean, give or take.
                let symbols: Vec<i32> =
                    prior.scale_index.iter().enumerate().map(|(i, s)| i as i32 % (1 + i32::from(*s))).collect();
                let bytes = write_values(model.tables().unwrap(), &geometry, &z, &prior, &symbols).unwrap();
                let read = read_values(model.tables().unwrap(), &geometry, &bytes, |read| {
                    assert_eq!(read, z);
                    Ok(prior.clone())
                });
                assert_eq!(read.unwrap(), (prior.clone(), symbols));
                match &expected {
                    None => expected = Some((prior, bytes)),
                    Some((first, first_bytes)) => {
                        assert!(prior == *first, "{name} gives other integers");
                        assert!(bytes == *first_bytes, "{name} gives other bytes");
                    }
                }
            }
        }
    }
}

/// Not a test: prints what one thread takes. `cargo test --release -- --ignored --nocapture latents_throughput`.
#[test]
#[ignore = "a measurement"]
fn latents_throughput() {
    let model = testing::model(&Options { threads: Some(1), ..Options::default() });
    let (frames, h, w) = (8, 256, 256);
    let x = window(frames, h, w);
    let megabytes = (x.len() * 4) as f64 / 1e6;
    let analysis = analyse(&model, &x, frames, h, w).unwrap();
    let (bytes, _) = analysis.encode(&model, 1).unwrap();
    let report =
        |what: &str, seconds: f64| println!("{what}: {:.1} ms, {:.1} MB/s", seconds * 1e3, megabytes / seconds);
    println!("{} bytes", bytes.len());
    report("analyse", testing::thread_seconds(20, || drop(analyse(&model, &x, frames, h, w).unwrap())));
    report("encode", testing::thread_seconds(20, || drop(analysis.encode(&model, 1).unwrap())));
    report("decode", testing::thread_seconds(20, || drop(decode_tile(&model, &bytes, frames, h, w, 1).unwrap())));
    report(
        "decode at a quarter",
        testing::thread_seconds(20, || drop(decode_tile(&model, &bytes, frames, h, w, 4).unwrap())),
    );
}
