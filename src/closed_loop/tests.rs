use super::*;
use proptest::prelude::*;

/// A field of one of several kinds, from a seed.
fn draw(kind: usize, shape: &[usize], seed: u64) -> Vec<f64> {
    let mut state = seed | 1;
    let mut noise = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let n = shape.iter().product();
    let mut walk = 0.0;
    (0..n)
        .map(|i| {
            walk += noise() - 0.5;
            match kind {
                0 => walk,
                1 => (i as f64 * 0.013).sin() * 3.0 + (i / shape[shape.len() - 1]) as f64 * 0.1,
                2 => (noise() * 6.0).floor(),
                3 => {
                    if noise() < 0.02 {
                        noise() * 1e3
                    } else {
                        0.0
                    }
                }
                4 => 1e300 * (noise() - 0.5),
                5 => f64::from_bits((noise() * 1e9) as u64),
                6 => {
                    if i == n / 2 {
                        1e20
                    } else {
                        (i as f64 * 0.1).cos()
                    }
                }
                7 => (walk * 2.0).exp(),
                _ => noise(),
            }
        })
        .collect()
}

fn check<T: Element>(values: &[T], shape: &[usize], mask: Option<&[bool]>, bound: f64, mixing: bool) {
    let bytes = encode(values, shape, mask, bound, mixing).unwrap();
    let mut out = vec![T::from_f64(7.0); values.len()];
    decode(&bytes, shape, mask, &mut out).unwrap();
    for (i, (a, b)) in values.iter().zip(&out).enumerate() {
        if !mask.is_some_and(|mask| mask[i]) {
            assert!((a.to_f64() - b.to_f64()).abs() <= bound, "{a:?} came back as {b:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn every_point_is_within_the_bound(
        shape in prop::collection::vec(1usize..14, 1..=4),
        kind in 0usize..9,
        seed: u64,
        relative in -16i32..0,
        narrow: bool,
        mixing: bool,
        holes: bool,
    ) {
        let values = draw(kind, &shape, seed);
        let range = values.iter().fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
        let bound = ((range.1 - range.0) * 2f64.powi(relative)).max(f64::from_bits(1));
        let mask: Vec<bool> = (0..values.len()).map(|i| (i as u64 ^ seed).is_multiple_of(5)).collect();
        let mask = holes.then_some(&mask[..]);
        if narrow {
            let values: Vec<f32> = values.iter().map(|&v| (v as f32).clamp(f32::MIN, f32::MAX)).collect();
            check(&values, &shape, mask, bound, mixing);
        } else {
            check(&values, &shape, mask, bound, mixing);
        }
    }

    #[test]
    fn every_predictor_returns_what_it_coded(
        shape in prop::collection::vec(1usize..20, 1..=4),
        kind in 0usize..9,
        seed: u64,
        levels: bool,
        axes in 0u8..16,
        order in 1u8..=3,
        growth in 0u8..4,
        lattice: bool,
    ) {
        let values = draw(kind, &shape, seed);
        let grid = Grid::new(&shape);
        prop_assume!(levels || order < 3 || causal::Fitted::fits(&grid));
        let predictor =
            if levels { Predictor::Levels { frozen: axes } } else { Predictor::Raster { axes, order } };
        let parameters = Parameters { predictor, growth, most: 6, lattice, ..tune::analyse(&values, None, 0.3, true) };
        let bytes = encode_with(&values, &shape, None, &parameters, 0.3).unwrap();
        let mut out = vec![0.0; values.len()];
        decode(&bytes, &shape, None, &mut out).unwrap();
        prop_assert!(values.iter().zip(&out).all(|(a, b)| (a - b).abs() <= 0.3));
    }

    #[test]
    fn any_bytes_decode_or_fail(
        shape in prop::collection::vec(1usize..9, 1..=4),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        change in any::<(prop::sample::Index, u8)>(),
    ) {
        let mut out = vec![0f32; shape.iter().product()];
        let _ = decode(&bytes, &shape, None, &mut out);
        let values: Vec<f32> = draw(0, &shape, 5).iter().map(|&v| v as f32).collect();
        let mut sound = encode(&values, &shape, None, 0.01, true).unwrap();
        let at = change.0.index(sound.len());
        sound[at] ^= change.1;
        let _ = decode(&sound, &shape, None, &mut out);
    }
}

#[test]
fn parameters_return() {
    let parameters = Parameters {
        predictor: Predictor::Raster { axes: 5, order: 2 },
        mixing: true,
        bin: 0.125,
        growth: 2,
        most: 9,
        lattice: true,
        origin: 1.5,
        range: (-2.0, 7.25),
    };
    let mut bytes = Vec::new();
    parameters.write::<f32>(&mut bytes);
    assert_eq!(Parameters::read::<f32>(&bytes).unwrap(), (parameters, &[][..]));
    assert!(Parameters::read::<f32>(&bytes[..bytes.len() - 1]).is_err());
}

/// What random data of few kinds cost: counts on a lattice, a constant, and one absurd value among smooth ones.
#[test]
fn odd_data_cost_little() {
    let shape = [40, 50];
    let counts: Vec<f32> = draw(2, &shape, 9).iter().map(|&v| v as f32).collect();
    let bytes = encode(&counts, &shape, None, 0.01, true).unwrap();
    // Six values that are alike cost 2.6 bits each.
    assert!(bytes.len() < 800, "{} bytes", bytes.len());
    let smooth: Vec<f64> = (0..2000).map(|i| (i as f64 * 0.01).sin()).collect();
    let plain = encode(&smooth, &shape, None, 1e-3, true).unwrap();
    let mut absurd = smooth;
    absurd[777] = 1e20;
    let bytes = encode(&absurd, &shape, None, 1e-3, true).unwrap();
    assert!(bytes.len() < plain.len() + 64, "{} bytes, and {} without", bytes.len(), plain.len());
    let constant = encode(&vec![2.5f32; 1 << 18], &[1 << 18], None, 1e-3, true).unwrap();
    assert!(constant.len() < 40, "{} bytes", constant.len());
}
