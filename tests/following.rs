//! Streams that follow each other in time: each is predicted from the last frame decoded before it.

mod common;

use common::fields::{field, flow, noise};
use fieldpress::{
    Bound, Codec, Effort, ErrorKind, FieldView, FieldViewMut, FmMode, Options, ReferenceFrame, Region, Request, inspect,
};

const WINDOWS: usize = 4;
const DIMS: [usize; 4] = [2, 8, 40, 56];

/// Two series of eight frames of a pattern under a little noise, window after window.
fn window(k: usize) -> Vec<f32> {
    let values = field(&DIMS, |s, t, y, x| {
        let time = (8 * k + t) as i64;
        (8 * flow(1 + s, 20 * time, 90 * y as i64, 90 * x as i64) + (noise(3 + s, 8 * k + t, y, x) >> 3)) as f64
    });
    values.into_iter().map(|v| v as f32 / 1024.0).collect()
}

fn last_frame(values: &[f32]) -> Vec<f32> {
    let frame = DIMS[2] * DIMS[3];
    values.chunks_exact(DIMS[1] * frame).flat_map(|series| series[(DIMS[1] - 1) * frame..].to_vec()).collect()
}

const FRAME: [usize; 4] = [2, 1, 40, 56];

fn chain(options: Options, bound: Bound) -> (usize, usize) {
    let codec = Codec::new(options).unwrap();
    let (mut alone, mut following) = (0, 0);
    let mut before: Option<(Vec<f32>, f64)> = None;
    for k in 0..WINDOWS {
        let values = window(k);
        let view = FieldView::new(&values, &DIMS).unwrap();
        alone += codec.compress(&view, bound).unwrap().0.len();
        let mut out = vec![0f32; values.len()];
        let drift = match &before {
            None => {
                let (bytes, report) = codec.compress(&view, bound).unwrap();
                following += bytes.len();
                assert!(!inspect(&bytes).unwrap().follows);
                codec
                    .decompress(&bytes, &Request::default(), &mut FieldViewMut::new(&mut out, &DIMS).unwrap())
                    .unwrap();
                report.drift
            }
            Some((frame, drift)) => {
                let before = ReferenceFrame { frame: FieldView::new(frame, &FRAME).unwrap(), drift: *drift };
                let (bytes, report) = codec.compress_after(&view, bound, &before).unwrap();
                following += bytes.len();
                // Closed-loop prediction, which bounds on points may be met by, follows no frame.
                let info = inspect(&bytes).unwrap();
                assert!(info.follows || info.modes.iter().all(|(mode, _)| mode.starts_with("closed-loop")));
                let mut view = FieldViewMut::new(&mut out, &DIMS).unwrap();
                codec.decompress_after(&bytes, &Request::default(), &before, &mut view).unwrap();

                // A box has the values of the whole.
                let region = Region { start: vec![1, 2, 8, 16], count: vec![1, 5, 20, 30] };
                let request = Request { region: Some(region), ..Default::default() };
                let mut part = vec![0f32; 5 * 20 * 30];
                let mut view = FieldViewMut::new(&mut part, &[1, 5, 20, 30]).unwrap();
                codec.decompress_after(&bytes, &request, &before, &mut view).unwrap();
                for (i, value) in part.iter().enumerate() {
                    let (t, y, x) = (i / 600, i / 30 % 20, i % 30);
                    assert_eq!(*value, out[((8 + t + 2) * 40 + y + 8) * 56 + x + 16]);
                }
                report.drift
            }
        };
        let range = values.iter().fold(f32::MIN, |a, &b| a.max(b)) - values.iter().fold(f32::MAX, |a, &b| a.min(b));
        let errors: Vec<f64> = values.iter().zip(&out).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect();
        let rms = (errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64).sqrt();
        match bound {
            Bound::Nrmse(e) => assert!(rms <= e * f64::from(range), "window {k}: {rms}"),
            Bound::Abs(e) => assert!(errors.iter().all(|error| error.abs() <= e), "window {k}"),
            Bound::BlockL2(_) => {}
            _ => unreachable!("no other bound is tried"),
        }
        before = Some((last_frame(&out), drift));
    }
    (alone, following)
}

#[test]
fn following_is_smaller_and_keeps_the_bound() {
    for effort in [Effort::Fast, Effort::Normal] {
        for bound in [Bound::Nrmse(4e-3), Bound::Abs(2.0), Bound::BlockL2(60.0)] {
            // What follows has the last axes, whatever a window alone would choose.
            let options =
                Options::default().with_effort(effort).with_fm(FmMode::Off).with_threads(1).with_axes([1, 2, 3]);
            let (alone, following) = chain(options, bound);
            let smaller = following < alone || matches!(bound, Bound::Abs(_)) && following == alone;
            assert!(smaller, "{effort:?} {bound}: {following} bytes, {alone} alone");
        }
    }
}

#[test]
fn the_frame_before_must_be_the_right_one() {
    let codec = Codec::new(Options::default().with_threads(1).with_fm(FmMode::Off)).unwrap();
    let values = window(1);
    let view = FieldView::new(&values, &DIMS).unwrap();
    let mut frame = last_frame(&window(0));
    let before = ReferenceFrame { frame: FieldView::new(&frame, &FRAME).unwrap(), drift: 0.0 };
    let (bytes, _) = codec.compress_after(&view, Bound::Nrmse(4e-3), &before).unwrap();
    let mut out = vec![0f32; values.len()];
    let error =
        codec.decompress(&bytes, &Request::default(), &mut FieldViewMut::new(&mut out, &DIMS).unwrap()).unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidArgument && error.message().contains("follows another"), "{error}");

    frame[5] += 1.0;
    let other = ReferenceFrame { frame: FieldView::new(&frame, &FRAME).unwrap(), drift: 0.0 };
    let error = codec
        .decompress_after(&bytes, &Request::default(), &other, &mut FieldViewMut::new(&mut out, &DIMS).unwrap())
        .unwrap_err();
    assert!(error.message().contains("checksum"), "{error}");

    let wrong = ReferenceFrame { frame: FieldView::new(&frame[..40 * 56], &[40, 56]).unwrap(), drift: 0.0 };
    let error = codec.compress_after(&view, Bound::Nrmse(4e-3), &wrong).unwrap_err();
    assert!(error.message().contains("expected 2x1x40x56") || error.message().contains("2×1×40×56"), "{error}");

    let flat = FieldView::new(&values[..40 * 56], &[40, 56]).unwrap();
    let error = codec.compress_after(&flat, Bound::Nrmse(4e-3), &wrong).unwrap_err();
    assert!(error.message().contains("no axis of frames"), "{error}");
}

/// The mean of rain, which clamping at zero would raise, in windows that follow others.
#[test]
fn the_mean_is_kept() {
    let mean = |values: &[f32]| values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
    for (bound, effort) in [(Bound::Nrmse(2e-2), Effort::Fast), (Bound::Nrmse(5e-3), Effort::Normal)] {
        let codec = Codec::new(Options::default().with_effort(effort).with_fm(FmMode::Off)).unwrap();
        let mut before: Option<Vec<f32>> = None;
        let (mut follows, mut apart) = (0, 0);
        for k in 0..WINDOWS {
            let values: Vec<f32> = window(k).iter().map(|v| (v - 100.0).max(0.0)).collect();
            let view = FieldView::new(&values, &DIMS).unwrap();
            let mut out = vec![0f32; values.len()];
            let report = match &before {
                None => {
                    let (bytes, report) = codec.compress(&view, bound).unwrap();
                    let mut view = FieldViewMut::new(&mut out, &DIMS).unwrap();
                    codec.decompress(&bytes, &Request::default(), &mut view).unwrap();
                    report
                }
                Some(frame) => {
                    let before = ReferenceFrame { frame: FieldView::new(frame, &FRAME).unwrap(), drift: 0.0 };
                    let (bytes, report) = codec.compress_after(&view, bound, &before).unwrap();
                    let mut view = FieldViewMut::new(&mut out, &DIMS).unwrap();
                    codec.decompress_after(&bytes, &Request::default(), &before, &mut view).unwrap();
                    follows += usize::from(inspect(&bytes).unwrap().follows);
                    // The version that knows a mean for the frame before.
                    apart += usize::from(bytes[4] == 8);
                    report
                }
            };
            let moved = mean(&out) - mean(&values);
            let allowed = (1e-5 * report.info.range).min(1e-4 * mean(&values));
            assert!((moved - report.mean_error).abs() <= 1e-9 * report.info.range, "{moved} {}", report.mean_error);
            assert!(moved.abs() <= allowed, "window {k}, {bound:?}: {moved:e} of {allowed:e}");
            before = Some(last_frame(&out));
        }
        assert!(follows == WINDOWS - 1 && apart > 0, "{follows} follow, {apart} of them have moved");
    }
}
