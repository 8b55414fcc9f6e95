use super::coder::Window;
use super::section::Predictor;
use super::*;
use crate::bytes::{Reader, Writer};
use crate::field::Element;
use proptest::prelude::*;

/// A segment in memory.
struct Memory<'a, T> {
    values: &'a [T],
    dims: [usize; 3],
    mask: Option<&'a [bool]>,
    bound: f64,
}

impl<T: Element> Memory<'_, T> {
    fn window(&self) -> Window<'_, T> {
        Window { values: self.values, dims: self.dims, mask: self.mask, range: self.range(), bound: self.bound }
    }
}

impl<T: Element> Subject<T> for Memory<'_, T> {
    fn dims(&self) -> [usize; 3] {
        self.dims
    }

    fn piece(&self, origin: [usize; 3], dims: [usize; 3]) -> (Vec<T>, Option<Vec<bool>>) {
        let places = (0..dims.iter().product::<usize>()).map(|i| {
            let at = [i / dims[2] / dims[1], i / dims[2] % dims[1], i % dims[2]];
            let [t, y, x] = [0, 1, 2].map(|axis| origin[axis] + at[axis]);
            (t * self.dims[1] + y) * self.dims[2] + x
        });
        let places: Vec<usize> = places.collect();
        let mask = self.mask.map(|mask| places.iter().map(|&i| mask[i]).collect());
        (places.iter().map(|&i| self.values[i]).collect(), mask)
    }

    fn range(&self) -> (f64, f64) {
        let data = (0..self.values.len()).filter(|&i| !self.mask.is_some_and(|mask| mask[i]));
        let range = data.map(|i| self.values[i].to_f64()).fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
        if range.0 <= range.1 { range } else { (0.0, 0.0) }
    }

    fn bound(&self) -> f64 {
        self.bound
    }
}

/// The bytes of a segment of one window.
fn encode<T: Element>(segment: &Memory<'_, T>, parameters: &Parameters) -> Vec<u8> {
    let mut writer = Writer::default();
    parameters.write::<T>(4, &mut writer);
    let mut encoder = WindowEncoder::new(parameters, Account::default());
    encoder.window(&segment.window()).unwrap();
    writer.bytes.extend(encoder.finish().0);
    writer.bytes
}

fn decode<T: Element>(bytes: &[u8], segment: &Memory<'_, T>, out: &mut [T]) -> crate::error::Result<()> {
    let mut reader = Reader::new(bytes);
    let parameters = Parameters::read::<T>(&mut reader)?;
    let mut decoder = WindowDecoder::new(parameters, reader.bytes(reader.remaining())?);
    decoder.window(segment.dims, segment.mask, segment.range(), out)?;
    decoder.finish()
}

/// Codes a segment, decodes it, and compares; gives the number of bytes.
fn check<T: Element>(segment: &Memory<'_, T>, parameters: &Parameters) -> usize {
    let bytes = encode(segment, parameters);
    let mut out = vec![T::from_f64(7.0); segment.values.len()];
    decode(&bytes, segment, &mut out).unwrap();
    let (least, largest) = segment.range();
    for (i, (a, b)) in segment.values.iter().zip(&out).enumerate() {
        if !segment.mask.is_some_and(|mask| mask[i]) {
            assert!((a.to_f64() - b.to_f64()).abs() <= segment.bound, "{a:?} came back as {b:?}");
            assert!(b.to_f64() >= least && b.to_f64() <= largest, "{b:?} is outside of the range");
        }
    }
    bytes.len()
}

fn choose<T: Element>(segment: &Memory<'_, T>, mixing: bool) -> Choice {
    Search::new(segment, mixing).finish()
}

fn compress<T: Element>(segment: &Memory<'_, T>) -> usize {
    check(segment, &choose(segment, true).parameters)
}

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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn every_point_is_within_the_bound(
        dims in prop::array::uniform3(1usize..14),
        kind in 0usize..9,
        seed: u64,
        relative in -16i32..0,
        (narrow, mixing, holes) in any::<(bool, bool, bool)>(),
    ) {
        let values = draw(kind, &dims, seed);
        let range = values.iter().fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
        let bound = ((range.1 - range.0) * 2f64.powi(relative)).max(f64::from_bits(1));
        let mask: Vec<bool> = (0..values.len()).map(|i| (i as u64 ^ seed).is_multiple_of(5)).collect();
        let mask = holes.then_some(&mask[..]);
        if narrow {
            let values: Vec<f32> = values.iter().map(|&v| (v as f32).clamp(f32::MIN, f32::MAX)).collect();
            let segment = Memory { values: &values, dims, mask, bound };
            check(&segment, &choose(&segment, mixing).parameters);
        } else {
            let segment = Memory { values: &values, dims, mask, bound };
            check(&segment, &choose(&segment, mixing).parameters);
        }
    }

    #[test]
    fn every_predictor_returns_what_it_coded(
        dims in prop::array::uniform3(1usize..20),
        kind in 0usize..9,
        seed: u64,
        predictor in 0usize..4,
        axes in 0u8..8,
        growth in 0u8..4,
        (lattice, balanced, narrow, holes) in any::<(bool, bool, bool, bool)>(),
    ) {
        let values = draw(kind, &dims, seed);
        let predictor = match predictor {
            0 => Predictor::Levels { frozen: axes },
            3 => Predictor::Fitted { axes },
            order => Predictor::Lorenzo { axes, order: order as u8 },
        };
        let mask: Vec<bool> = (0..values.len()).map(|i| (i as u64 ^ seed).is_multiple_of(7)).collect();
        let mask = holes.then_some(&mask[..]);
        if narrow {
            let values: Vec<f32> = values.iter().map(|&v| (v as f32).clamp(f32::MIN, f32::MAX)).collect();
            let segment = Memory { values: &values, dims, mask, bound: 0.3 };
            let parameters = tune::analyse(&segment, true);
            check(&segment, &Parameters { predictor, growth, most: 6, lattice, balanced, ..parameters });
        } else {
            let segment = Memory { values: &values, dims, mask, bound: 0.3 };
            let parameters = tune::analyse(&segment, true);
            check(&segment, &Parameters { predictor, growth, most: 6, lattice, balanced, ..parameters });
        }
    }

    #[test]
    fn any_bytes_decode_or_fail(
        dims in prop::array::uniform3(1usize..9),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        change in any::<(prop::sample::Index, u8)>(),
        balanced: bool,
    ) {
        let values: Vec<f32> = draw(0, &dims, 5).iter().map(|&v| v as f32).collect();
        let segment = Memory { values: &values, dims, mask: None, bound: 0.01 };
        let mut out = vec![0f32; values.len()];
        let _ = decode(&bytes, &segment, &mut out);
        let parameters = choose(&segment, true).parameters;
        let balanced = parameters.balanced().filter(|_| balanced);
        let mut sound = encode(&segment, &balanced.unwrap_or(parameters));
        let at = change.0.index(sound.len());
        sound[at] ^= change.1;
        let _ = decode(&sound, &segment, &mut out);
    }

    #[test]
    fn parameters_return(
        (kind, axes, mixing, lattice, balanced) in any::<(u8, u8, bool, bool, bool)>(),
        (growth, most) in (0u8..16, 0u8..16),
        bin in 1e-300f64..1e300,
        origin: f32,
    ) {
        let (axes, origin) = (axes & 7, if origin.is_finite() { f64::from(origin) } else { 0.0 });
        let predictor = match kind & 3 {
            0 => Predictor::Levels { frozen: axes },
            3 => Predictor::Fitted { axes },
            order => Predictor::Lorenzo { axes, order },
        };
        let parameters = Parameters { predictor, mixing, bin, growth, most, lattice, balanced, origin };
        let mut writer = Writer::default();
        parameters.write::<f32>(4, &mut writer);
        prop_assert_eq!(Parameters::read::<f32>(&mut Reader::new(&writer.bytes)).unwrap(), parameters);
        let short = &writer.bytes[..writer.bytes.len() - 1];
        prop_assert!(Parameters::read::<f32>(&mut Reader::new(short)).is_err());
    }
}

/// Errors of predictions that are offset cancel, and the bound holds as it did.
#[test]
fn balanced_errors_cancel() {
    for (kind, dims) in [(1, [9, 40, 50]), (3, [12, 30, 41]), (7, [1, 1, 9000]), (7, [20, 20, 20]), (0, [1, 90, 70])] {
        let values = draw(kind, &dims, 7);
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let bound = 0.1 * (sorted[sorted.len() * 9 / 10] - sorted[sorted.len() / 10]).max(1.0);
        let segment = Memory { values: &values, dims, mask: None, bound };
        let predictors =
            [Predictor::Levels { frozen: 0 }, Predictor::Lorenzo { axes: 7, order: 1 }, Predictor::Fitted { axes: 7 }];
        for predictor in predictors {
            let plain = Parameters { predictor, ..tune::analyse(&segment, false) };
            let Some(balanced) = plain.balanced() else { continue };
            let mean = |parameters: &Parameters| {
                check(&segment, parameters);
                let mut out = vec![0.0; values.len()];
                decode(&encode(&segment, parameters), &segment, &mut out).unwrap();
                out.iter().zip(&values).map(|(a, b)| a - b).sum::<f64>().abs() / values.len() as f64
            };
            let (before, after) = (mean(&plain), mean(&balanced));
            let enough = (0.01 * bound).max(before / 20.0);
            assert!(after <= enough, "{kind} {dims:?} {predictor:?}: {before:e}, {after:e} of {bound:e}");
        }
    }
}

/// Values on a limit, as dry days and full clouds, may come back nearer to the middle, but not beside it by what rounding
/// of shifted values leaves.
#[test]
fn limits_are_hit_exactly() {
    for seed in 1..20 {
        let walk: Vec<f32> = draw(0, &[2400], seed).iter().map(|&v| (v as f32).clamp(-1.1, 3.3)).collect();
        let segment = Memory { values: &walk, dims: [1, 400, 6], mask: None, bound: 0.31 };
        let predictor = Predictor::Lorenzo { axes: 7, order: 1 };
        let plain = Parameters { predictor, ..tune::analyse(&segment, false) };
        let mut out = vec![0f32; walk.len()];
        decode(&encode(&segment, &plain.balanced().unwrap()), &segment, &mut out).unwrap();
        let (least, largest) = segment.range();
        let beside = |v: &&f32| {
            let (low, high) = (f64::from(**v) - least, largest - f64::from(**v));
            low != 0.0 && low < 1e-6 || high != 0.0 && high < 1e-6
        };
        assert_eq!(out.iter().find(beside), None, "{seed}");
    }
}

/// Where axes of one point stand changes nothing.
#[test]
fn axes_of_one_point_change_nothing() {
    let values = draw(0, &[6000], 3);
    let bytes = |dims| {
        let segment = Memory { values: &values, dims, mask: None, bound: 0.1 };
        encode(&segment, &choose(&segment, true).parameters)
    };
    assert!(bytes([1, 1, 6000]) == bytes([6000, 1, 1]) && bytes([1, 6000, 1]) == bytes([6000, 1, 1]));
    assert!(bytes([20, 1, 300]) == bytes([1, 20, 300]) && bytes([20, 300, 1]) == bytes([1, 20, 300]));
}

/// What random data of few kinds cost: counts on a lattice, a constant, and one absurd value among smooth ones.
#[test]
fn odd_data_cost_little() {
    let counts: Vec<f32> = draw(2, &[40, 50], 9).iter().map(|&v| v as f32).collect();
    let bytes = compress(&Memory { values: &counts, dims: [1, 40, 50], mask: None, bound: 0.01 });
    // Six values that are alike cost 2.6 bits each.
    assert!(bytes < 800, "{bytes} bytes");
    let mut smooth: Vec<f64> = (0..2000).map(|i| (i as f64 * 0.01).sin()).collect();
    let line = |values: &[f64]| compress(&Memory { values, dims: [1, 40, 50], mask: None, bound: 1e-3 });
    let plain = line(&smooth);
    smooth[777] = 1e20;
    let bytes = line(&smooth);
    assert!(bytes < plain + 64, "{bytes} bytes, and {plain} without");
    let constant = vec![2.5f32; 1 << 18];
    let bytes = compress(&Memory { values: &constant, dims: [1, 1, 1 << 18], mask: None, bound: 1e-3 });
    assert!(bytes < 40, "{bytes} bytes");
}
