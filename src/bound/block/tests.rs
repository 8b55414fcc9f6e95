//! Bounds met, both sides alike, hostile bytes, and the size beside a list of points.

use super::coding::Numbers;
use super::*;
use crate::entropy::Cost;
use proptest::prelude::*;

struct Noise(u64);
impl Noise {
    /// Uniform in −1..1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
    /// About normal, variance 1.
    fn normal(&mut self) -> f64 {
        (0..6).map(|_| self.next()).sum::<f64>() / 2f64.sqrt()
    }
}

/// Encodes, checks the bound, decodes, checks that both sides agree to the bit; gives the stats and the bytes.
fn round_trip(
    original: &[f64],
    decoded: &[f64],
    classes: Option<&[u8]>,
    dims: [usize; 3],
    tau: f64,
) -> (BlockStats, usize) {
    let mut encoder = Encoder::new(Vec::new());
    let mut corrected = decoded.to_vec();
    let stats = encode(&mut encoder, original, &mut corrected, classes, dims, tau).unwrap();
    let norm = largest_norm(original, &corrected, classes, dims).unwrap();
    assert!(norm <= tau, "{norm} > {tau}");
    let bytes = encoder.finish();
    let mut again = decoded.to_vec();
    let mut decoder = Decoder::new(&bytes);
    decode(&mut decoder, &mut again, dims, tau).unwrap();
    assert!(!decoder.exhausted());
    assert!(corrected.iter().zip(&again).all(|(a, b)| a.to_bits() == b.to_bits()));
    (stats, bytes.len())
}

/// Bytes that a list of points (gaps in adaptive Exp-Golomb, values in units of `step`) takes to bring every block
/// under τ: the largest errors first, the best of some steps.
fn pointwise(original: &[f64], decoded: &[f64], dims: [usize; 3], tau: f64) -> usize {
    let grid = Grid::new(dims, original.len()).unwrap();
    let window = Window { original, classes: None, tau };
    let cost = |step: f64| {
        let mut coder = Cost::default();
        let mut gaps = Numbers::new(1);
        let mut values = Numbers::new(1);
        for i in 0..grid.len() {
            let (mut energy, error) = grid.error(&grid.block(i), &window, decoded);
            let mut order: Vec<usize> = (0..POINTS).collect();
            order.sort_by(|&a, &b| error[b].abs().total_cmp(&error[a].abs()));
            let mut listed = Vec::new();
            for at in order {
                if energy <= 1.0 {
                    break;
                }
                let value = (error[at] / step).round();
                if value == 0.0 {
                    return f64::INFINITY;
                }
                energy += (error[at] - value * step).powi(2) - error[at] * error[at];
                listed.push((at, value));
            }
            listed.sort_by_key(|l| l.0);
            let mut last = 0;
            for (at, value) in listed {
                gaps.code(&mut coder, 0, (at - last) as u64).unwrap();
                last = at;
                values.code(&mut coder, 0, value.abs() as u64 - 1).unwrap();
                coder.raw(0, 1);
            }
            gaps.code(&mut coder, 0, 512).unwrap();
        }
        coder.bits() / 8.0
    };
    (0..12).map(|k| cost(2f64.powf(1.0 - 0.5 * f64::from(k)))).fold(f64::INFINITY, f64::min) as usize
}

#[test]
fn costs_against_a_list_of_points() {
    let dims = [8, 128, 128];
    let n = dims.iter().product::<usize>();
    let mut noise = Noise(88_172_645_463_325_252);
    let original: Vec<f64> = (0..n).map(|i| 280.0 + 20.0 * ((i % 128) as f64 * 0.05).sin()).collect();
    let white: Vec<f64> = original.iter().map(|v| v + 0.1 * noise.normal()).collect();
    // What misses: smooth bumps over a few blocks, on little noise.
    let bumps: Vec<(f64, f64, f64)> =
        (0..24).map(|_| (64.0 + 64.0 * noise.next(), 64.0 + 64.0 * noise.next(), noise.next())).collect();
    let smooth: Vec<f64> = original
        .iter()
        .enumerate()
        .map(|(i, v)| {
            let (y, x, t) = ((i / 128 % 128) as f64, (i % 128) as f64, (i / 128 / 128) as f64);
            let bump = |b: &(f64, f64, f64)| b.2 * (-((y - b.0).powi(2) + (x - b.1 - t).powi(2)) / 18.0).exp();
            v + bumps.iter().map(bump).sum::<f64>() + 0.03 * noise.normal()
        })
        .collect();
    // Errors with a shape of their own in every block, in random amounts.
    let shapes: Vec<Vec<f64>> = (0..3).map(|_| (0..POINTS).map(|_| noise.normal()).collect()).collect();
    let mut shared = original.clone();
    let grid = Grid::new(dims, n).unwrap();
    for i in 0..grid.len() {
        let amounts: Vec<f64> = shapes.iter().map(|_| 0.15 * noise.normal()).collect();
        for (at, local) in grid.rows(&grid.block(i)) {
            for x in 0..8 {
                shared[at + x] +=
                    amounts.iter().zip(&shapes).map(|(a, s)| a * s[local + x]).sum::<f64>() + 0.02 * noise.normal();
            }
        }
    }
    let typical = 0.1 * (POINTS as f64).sqrt();
    for (name, decoded, tau) in [
        ("white, tau 1.0 of the mean norm", &white, typical),
        ("white, tau 0.9 of the mean norm", &white, 0.9 * typical),
        ("white, tau 0.5 of the mean norm", &white, 0.5 * typical),
        ("bumps", &smooth, 0.8),
        ("shared shapes", &shared, 1.5),
    ] {
        let start = std::time::Instant::now();
        let (stats, bytes) = round_trip(&original, decoded, None, dims, tau);
        let seconds = start.elapsed().as_secs_f64();
        let list = pointwise(&original, decoded, dims, tau);
        println!("{name}: {bytes} bytes, as a list of points {list}; {seconds:.2} s; {stats:?}");
        assert!(bytes < list + list / 20);
    }
}

#[test]
fn a_window_within_the_bound_costs_nothing() {
    let original = vec![1.0; 1000];
    let (stats, bytes) = round_trip(&original, &original, None, [10, 10, 10], 1e-9);
    assert_eq!((stats.blocks, stats.corrected, bytes), (8, 0, 1));
}

#[test]
fn bounds_finer_than_f64_resolves_are_met() {
    let mut noise = Noise(5);
    let original: Vec<f64> = (0..600).map(|_| 1e6 * noise.next()).collect();
    let decoded: Vec<f64> = original.iter().map(|v| v + noise.next()).collect();
    for tau in [1e-8, 1e-10, 1e-300, 5e-324] {
        let (stats, _) = round_trip(&original, &decoded, None, [6, 10, 10], tau);
        assert_eq!(stats.corrected, stats.blocks);
        assert!(tau > 1e-200 || stats.exact == stats.blocks);
    }
    let huge: Vec<f64> = original.iter().map(|v| v * 1e302).collect();
    round_trip(&huge, &original, None, [6, 10, 10], 1.0);
    round_trip(&huge, &original, None, [6, 10, 10], 1e308);
    round_trip(&original, &huge, None, [6, 10, 10], 1e-3);
    let strange: Vec<f64> = original.iter().enumerate().map(|(i, &v)| if i % 9 == 0 { f64::NAN } else { v }).collect();
    round_trip(&original, &strange, None, [6, 10, 10], 1e-3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_block_meets_the_bound(
        dims in (1usize..20, 1usize..20, 1usize..20), seed in 1u64..u64::MAX, scale in -8i32..8, tightness in 0.001f64..30.0,
        masked in any::<bool>(),
    ) {
        let dims = [dims.0, dims.1, dims.2];
        let n = dims.iter().product();
        let mut noise = Noise(seed);
        let scale = 10f64.powi(scale);
        let mut original: Vec<f64> = (0..n).map(|_| scale * noise.normal()).collect();
        let decoded: Vec<f64> = original.iter().map(|v| v + 0.1 * scale * noise.normal() * noise.next()).collect();
        let classes: Vec<u8> = (0..n).map(|_| u8::from(masked && noise.next() > 0.5)).collect();
        for (value, &class) in original.iter_mut().zip(&classes) {
            if class != 0 {
                *value = f64::NAN;
            }
        }
        round_trip(&original, &decoded, Some(&classes), dims, scale * tightness * 0.1);
    }

    #[test]
    fn hostile_bytes_do_no_harm(mut bytes in prop::collection::vec(any::<u8>(), 1..600), dims in (1usize..20, 1usize..20, 1usize..20)) {
        let dims = [dims.0, dims.1, dims.2];
        bytes[0] &= 0x7f;
        let mut decoded = vec![0.0; dims.iter().product()];
        let _ = decode(&mut Decoder::new(&bytes), &mut decoded, dims, 0.5);
    }
}
