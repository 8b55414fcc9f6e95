use super::*;
use crate::model::testing;
use crate::options::Options;

/// Two frames of waves that move, and the frames at ±3d, `[h, w]` each.
fn frames(h: usize, w: usize) -> [Vec<f32>; 4] {
    [0.0f32, 1.0, -1.0, 2.0].map(|t| {
        let value = |y: usize, x: usize| {
            let (y, x) = (y as f32 * 0.07, x as f32 * 0.05);
            280.0 + 5.0 * (x + 0.3 * t).sin() * (y - 0.2 * t).cos() + (2.3 * x + 1.7 * y - 0.5 * t).sin()
        };
        (0..h * w).map(|i| value(i / w, i % w)).collect()
    })
}

fn references(frames: &[Vec<f32>; 4]) -> References<'_> {
    References { a: &frames[0], b: &frames[1], a2: Some(&frames[2]), b2: Some(&frames[3]) }
}

#[test]
fn base_is_the_polynomial_through_the_references() {
    // A cubic in time, known at −3, −1, 1, 3, is met exactly at 0.
    let cubic = |t: f32| [2.0 + 3.0 * t - t * t + 0.5 * t * t * t];
    let (a2, a, b, b2) = (cubic(-3.0), cubic(-1.0), cubic(1.0), cubic(3.0));
    let mut out = Vec::new();
    base(&References { a: &a, b: &b, a2: Some(&a2), b2: Some(&b2) }, &mut out);
    assert_eq!(out, cubic(0.0));
    let square = |t: f32| [2.0 + 3.0 * t - t * t];
    let (a2, a, b, b2) = (square(-3.0), square(-1.0), square(1.0), square(3.0));
    base(&References { a: &a, b: &b, a2: Some(&a2), b2: None }, &mut out);
    assert_eq!(out, square(0.0));
    base(&References { a: &a, b: &b, a2: None, b2: Some(&b2) }, &mut out);
    assert_eq!(out, square(0.0));
    base(&References { a: &[1.0], b: &[4.0], a2: None, b2: None }, &mut out);
    assert_eq!(out, [2.5]);
}

#[test]
fn statistics_follow_the_contract() {
    let statistics = Statistics::of(&[1.0, 3.0], &[5.0, 7.0]).unwrap();
    assert_eq!((statistics.m, statistics.s, statistics.e), (4.0, 5f64.sqrt(), 4.0));
    assert!(Statistics::of(&[1.0, 2.0], &[1.0, 2.0]).is_none());
    assert!(Statistics::of(&[1.0], &[f32::NAN]).is_none());
    assert!(Statistics::of(&[0.0], &[1e-45]).is_none());
    assert!(Statistics::of(&[1e37], &[-1e37]).is_some());
}

#[test]
fn equal_references_have_no_correction() {
    let model = testing::model(&Options::default());
    let frame = vec![1.5; 40 * 50];
    let refs = References { a: &frame, b: &frame, a2: None, b2: None };
    let mut out = Vec::new();
    assert!(!correction(&model, &refs, 40, 50, 0.1, &mut out).unwrap());
    assert_eq!(out, vec![0.0; 2000]);
}

#[test]
fn corrections_come_out_for_any_size_and_repeat_exactly() {
    let model = testing::model(&Options::default());
    for (h, w) in [(1, 1), (1, 300), (7, 13), (64, 64), (96, 144), (300, 290)] {
        let frames = frames(h, w);
        let refs = references(&frames);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        assert!(correction(&model, &refs, h, w, 0.01, &mut first).unwrap(), "{h}x{w}");
        assert_eq!(first.len(), h * w);
        assert!(first.iter().all(|value| value.is_finite() && value.abs() < 1e3));
        assert!(correction(&model, &refs, h, w, 0.01, &mut second).unwrap());
        assert_eq!(first, second, "{h}x{w}");
    }
}

#[test]
fn several_threads_share_a_model() {
    let model = testing::model(&Options { threads: Some(1), ..Options::default() });
    let frames = frames(64, 96);
    let run = || {
        let mut out = Vec::new();
        correction(&model, &references(&frames), 64, 96, 0.01, &mut out).unwrap();
        out
    };
    let expected = run();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(run)).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), expected);
        }
    });
}

/// Not a test: prints what one thread takes. `cargo test --release -- --ignored --nocapture interpolator_throughput`.
#[test]
#[ignore = "a measurement"]
fn interpolator_throughput() {
    let model = testing::model(&Options { threads: Some(1), ..Options::default() });
    for (h, w) in [(256, 256), (192, 288)] {
        let frames = frames(h, w);
        let refs = references(&frames);
        let mut out = Vec::new();
        let whole = testing::thread_seconds(200, || assert!(correction(&model, &refs, h, w, 0.01, &mut out).unwrap()));
        let cover = Cover::overlapping(h, w, model.interpolator().unwrap().align, 256, OVERLAP);
        let host =
            testing::thread_seconds(200, || Batch::new(&cover).add(&refs, (h, w), cover.tiles().next().unwrap(), 0.01));
        println!(
            "{h}x{w}: {:.2} ms ({:.2} before the graph), {:.2} MB/s",
            whole * 1e3,
            host * 1e3,
            (h * w * 4) as f64 / whole / 1e6
        );
    }
}
