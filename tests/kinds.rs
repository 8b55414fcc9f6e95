//! Kinds of data that are not smooth: none costs more under a bound than without loss, and small streams stay small.

use fieldpress::{Bound, Codec, Effort, FieldView, FieldViewMut, FmMode, Options, Request, StreamInfo, inspect};
use proptest::prelude::*;

fn codec(effort: Effort) -> Codec {
    Codec::new(Options::default().with_effort(effort).with_fm(FmMode::Off).with_threads(1)).unwrap()
}

/// Compresses a field, and checks that it comes back within the bound on points, where there is one; its stream.
fn compress(codec: &Codec, values: &[f32], dims: &[usize], bound: Bound) -> Vec<u8> {
    let bytes = codec.compress(&FieldView::new(values, dims).unwrap(), bound).unwrap().0;
    let mut out = vec![0.0f32; values.len()];
    codec.decompress(&bytes, &Request::default(), &mut FieldViewMut::new(&mut out, dims).unwrap()).unwrap();
    let allowed = match bound {
        Bound::Abs(epsilon) => epsilon,
        Bound::Lossless => 0.0,
        _ => f64::INFINITY,
    };
    for (a, b) in values.iter().zip(&out) {
        assert!((f64::from(*a) - f64::from(*b)).abs() <= allowed, "{bound}: {a} came back as {b}");
        assert!(bound != Bound::Lossless || a.to_bits() == b.to_bits(), "{a} came back as {b}");
    }
    bytes
}

/// Noise between 0 and 1.
fn chance(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Smooth,
    Spikes,
    SquareWave,
    Counts,
    Labels,
    Stairs,
    Noise,
    RepeatedNoise,
    RepeatedFrames,
    Blocks,
    Mask,
    Zeros,
}

const KINDS: [Kind; 12] = [
    Kind::Smooth,
    Kind::Spikes,
    Kind::SquareWave,
    Kind::Counts,
    Kind::Labels,
    Kind::Stairs,
    Kind::Noise,
    Kind::RepeatedNoise,
    Kind::RepeatedFrames,
    Kind::Blocks,
    Kind::Mask,
    Kind::Zeros,
];

impl Kind {
    fn draw(self, [t, h, w]: [usize; 3], seed: u64) -> Vec<f32> {
        let mut noise = chance(seed);
        let n = t * h * w;
        let phase = noise() * 6.0;
        let wave = |i: usize| {
            let (t, y, x) = (i / (h * w), i / w % h, i % w);
            (x as f32 * 0.17 + phase).sin() + (y as f32 * 0.13 + t as f32 * 0.05).cos()
        };
        let period = 3 + (noise() * 200.0) as usize;
        match self {
            Self::Smooth => (0..n).map(wave).collect(),
            Self::Spikes => (0..n).map(|_| if noise() < 0.003 { noise() * 9.0 } else { 0.0 }).collect(),
            Self::SquareWave => (0..n).map(|i| (i / period % 2) as f32).collect(),
            Self::Counts => (0..n).map(|_| (noise() * noise() * 9.0).floor()).collect(),
            Self::Labels => (0..n).map(|i| (wave(i) * 2.0).floor()).collect(),
            Self::Stairs => (0..n).map(|i| (wave(i) * 20.0).floor() / 20.0).collect(),
            Self::Noise => (0..n).map(|_| noise()).collect(),
            Self::RepeatedNoise => {
                let once: Vec<f32> = (0..period * 3).map(|_| noise()).collect();
                (0..n).map(|i| once[i % once.len()]).collect()
            }
            Self::RepeatedFrames => (0..n).map(|i| wave(i % (h * w)) + (i / (h * w) / 4) as f32).collect(),
            Self::Blocks => {
                let blocks: Vec<f32> = (0..n).map(|_| noise()).collect();
                (0..n).map(|i| blocks[(i / (h * w) / 4 * h + i / w % h / 8) * w + i % w / 8]).collect()
            }
            Self::Mask => (0..n).map(|i| f32::from(u8::from(wave(i) > 0.5))).collect(),
            Self::Zeros => (0..n).map(|i| if i == n / 3 { 1.5 } else { 0.0 }).collect(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    /// No bound makes a stream larger than none.
    #[test]
    fn lossy_streams_are_no_larger_than_lossless_ones(
        kind in prop::sample::select(&KINDS[..]),
        dims in (1usize..9, 1usize..50, 8usize..70).prop_map(|(t, h, w)| [t, h, w]),
        effort in prop::sample::select(&[Effort::Fast, Effort::Normal][..]),
        exponent in 1i32..6,
        seed in 0u64..1000,
    ) {
        let values = kind.draw(dims, seed);
        let codec = codec(effort);
        let exact = compress(&codec, &values, &dims, Bound::Lossless).len();
        let size = 10f64.powi(-exponent);
        for bound in [Bound::Abs(size), Bound::Rel(size), Bound::Nrmse(size), Bound::BlockL2(10.0 * size)] {
            let bytes = compress(&codec, &values, &dims, bound).len();
            prop_assert!(bytes <= exact, "{kind:?} {dims:?} {bound}: {bytes} bytes, and {exact} without loss");
        }
    }
}

/// The bytes of a stream's sections, and what they are.
fn content(bytes: &[u8]) -> StreamInfo {
    inspect(bytes).unwrap()
}

/// Particles in order of their cells, at bounds some cells wide: next to nothing has to be said.
#[test]
fn sorted_positions_take_few_bytes() {
    for (cells, each, seed) in [(1 << 11, 64, 1), (1 << 10, 100, 2), (3000, 40, 3)] {
        let mut noise = chance(seed);
        let values: Vec<f32> = (0..cells * each).map(|i| ((i / each) as f32 + noise()) / 64.0).collect();
        for effort in [Effort::Fast, Effort::Normal] {
            for (wide, most) in [(80.0, 160), (16.0, 160), (8.0, 160)] {
                let bound = Bound::Rel(wide / cells as f64);
                let bytes = compress(&codec(effort), &values, &[values.len()], bound);
                assert!(
                    bytes.len() <= most,
                    "{cells} cells, {bound}: {} bytes, {:?}",
                    bytes.len(),
                    content(&bytes).modes
                );
            }
        }
    }
}

#[test]
fn without_loss_repeats_and_few_values_take_few_bytes() {
    let mut noise = chance(5);
    let once: Vec<f32> = (0..20_000).map(|_| noise()).collect();
    let many: Vec<f32> = (0..16).flat_map(|_| once.clone()).collect();
    let square = Kind::SquareWave.draw([1, 1, 1 << 17], 3);
    let blocks = Kind::Blocks.draw([16, 48, 48], 4);
    let labels = Kind::Labels.draw([8, 64, 64], 4);
    let stairs = Kind::Stairs.draw([8, 64, 64], 4);
    for (name, values, dims, most) in [
        ("repeats", many, [16, 1, 20_000], 4 * 20_000),
        ("square wave", square, [1, 1, 1 << 17], 250),
        ("blocks", blocks, [16, 48, 48], 4 * 4 * 36 + 400),
        ("labels", labels, [8, 64, 64], 2000),
        ("stairs", stairs, [8, 64, 64], 14_000),
    ] {
        for bound in [Bound::Lossless, Bound::Nrmse(1e-4), Bound::Abs(1e-6)] {
            let bytes = compress(&codec(Effort::Normal), &values, &dims, bound);
            assert!(bytes.len() <= most, "{name}, {bound}: {} bytes, {:?}", bytes.len(), content(&bytes).modes);
        }
    }
}

/// Frames that are clouds, whose first ones are clear, or nearly: levels of an atmosphere, or a flow before it starts.
fn clear_at_first([t, h, w]: [usize; 3], clear: usize, least: f32, seed: u64) -> Vec<f32> {
    let mut noise = chance(seed);
    let mut frames: Vec<f32> = (0..t * h * w).map(|_| noise() - 0.5).collect();
    // Smoothed along rows, columns and frames, twice each.
    for (stride, side) in [(1, w), (w, h), (h * w, t), (1, w), (w, h)] {
        for i in 0..frames.len() {
            if i / stride % side > 0 {
                frames[i] = 0.4 * frames[i] + 0.6 * frames[i - stride];
            }
        }
    }
    let most = frames.iter().copied().fold(0.0, f32::max);
    let share = |i: usize| if i / (h * w) < clear { least } else { 1.0 };
    frames.iter().enumerate().map(|(i, v)| (v / most - 0.2).max(0.0) * share(i)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// What is tried is tried at about the step that it is coded with, however little the first windows tell of it.
    #[test]
    fn trials_know_the_step_of_fields_that_are_quiet_at_first(
        dims in (12usize..40, 40usize..56, 40usize..72).prop_map(|(t, h, w)| [t, h, w]),
        share in 0.2f64..0.5,
        least in prop::sample::select(&[0.0f32, 1e-4, 1e-3][..]),
        size in 2e-3f64..1e-2,
        seed in 0u64..1000,
    ) {
        let clear = ((dims[0] as f64 * share) as usize).max(8).min(dims[0] / 2 + 1);
        let values = clear_at_first(dims, clear, least, seed);
        let bytes = |effort: Effort| compress(&codec(effort), &values, &dims, Bound::Nrmse(size)).len();
        let (fast, normal) = (bytes(Effort::Fast), bytes(Effort::Normal));
        prop_assert!(
            normal as f64 <= 1.03 * fast as f64 + 64.0,
            "{dims:?}, the first {clear} {least} as large: {normal} bytes at effort 1, {fast} at effort 0"
        );
    }
}
