//! Which axes are frames, planes, rows and columns, where nobody says.

use fieldpress::{Axes, Bound, Codec, Effort, FieldView, FieldViewMut, FmMode, Options, Request, inspect};
use proptest::prelude::*;

fn codec(axes: Option<Axes>, effort: Effort) -> Codec {
    let mut options = Options::default().with_effort(effort).with_fm(FmMode::Off).with_threads(1);
    options.axes = axes;
    Codec::new(options).unwrap()
}

fn compress(values: &[f32], dims: &[usize], bound: Bound, axes: Option<&[usize]>, effort: Effort) -> Vec<u8> {
    let axes = axes.map(|list| list.iter().map(usize::to_string).collect::<Vec<_>>().join(",").parse().unwrap());
    codec(axes, effort).compress(&FieldView::new(values, dims).unwrap(), bound).unwrap().0
}

fn decode(stream: &[u8], dims: &[usize]) -> Vec<f32> {
    let mut out = vec![0.0f32; dims.iter().product()];
    let codec = codec(None, Effort::Normal);
    codec.decompress(stream, &Request::default(), &mut FieldViewMut::new(&mut out, dims).unwrap()).unwrap();
    out
}

/// Waves that move along the first axis by `speed`, and are rough across it.
fn waves(dims: &[usize], speed: f64, seed: u64) -> Vec<f32> {
    let mut index = vec![0usize; dims.len()];
    let phase = |k: u64| ((seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (8 * k)) & 0xff) as f64 / 40.0;
    let mut noise = seed;
    let mut out = Vec::with_capacity(dims.iter().product());
    for _ in 0..dims.iter().product::<usize>() {
        let place: Vec<f64> = index.iter().map(|&i| i as f64).collect();
        let value: f64 = (0..5u64)
            .map(|k| {
                let across: f64 =
                    place[1..].iter().enumerate().map(|(j, p)| p * (0.3 + phase(k) * (j + 1) as f64)).sum();
                (across + place[0] * speed + phase(k + 1)).sin()
            })
            .sum();
        // Digits that no other point has, as measured values have them.
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        out.push((value + (noise >> 40) as f64 * 1e-11) as f32);
        for (i, &n) in index.iter_mut().zip(dims).rev() {
            *i += 1;
            if *i < n {
                break;
            }
            *i = 0;
        }
    }
    out
}

#[test]
fn volumes_in_time_are_coded_along_both() {
    let dims = [8, 20, 32, 32];
    let slow = waves(&dims, 0.02, 5);
    for effort in [Effort::Fast, Effort::Normal] {
        for bound in [Bound::Nrmse(1e-2), Bound::Nrmse(1e-3), Bound::Rel(1e-3)] {
            let size = |axes: Option<&[usize]>| compress(&slow, &dims, bound, axes, effort).len();
            let [along_time, along_depth] = [[0, 2, 3], [1, 2, 3]].map(|axes| size(Some(&axes)));
            let (found, along_both) = (size(None), size(Some(&[0, 1, 2, 3])));
            assert!(along_both < along_time && along_time < along_depth, "the field is not one of the kind");
            assert_eq!(found, along_both, "{bound} {effort}: {along_time} {along_depth}");
        }
    }
    let stream = compress(&slow, &dims, Bound::Nrmse(1e-2), None, Effort::Normal);
    assert_eq!(inspect(&stream).unwrap().axes, Some([0, 1, 2, 3].into()));
    // Blocks of this bound lie along the last three.
    let stream = compress(&slow, &dims, Bound::BlockL2(0.5), None, Effort::Normal);
    assert_eq!(inspect(&stream).unwrap().axes, None);
}

#[test]
fn short_axes_are_no_rows_and_no_columns() {
    let dims = [2000, 4, 4];
    let elements = waves(&dims, 0.01, 9);
    let size = |axes: Option<&[usize]>| compress(&elements, &dims, Bound::Nrmse(1e-3), axes, Effort::Normal).len();
    assert!(size(None) <= size(Some(&[0, 1, 2])), "{} {}", size(None), size(Some(&[0, 1, 2])));
    assert!(size(None) as f64 <= 1.05 * size(Some(&[1, 2, 0])) as f64, "{} {}", size(None), size(Some(&[1, 2, 0])));
    let dims = [12, 24, 32, 3];
    let components = waves(&dims, 0.3, 3);
    let size = |axes: Option<&[usize]>| compress(&components, &dims, Bound::Nrmse(1e-3), axes, Effort::Normal).len();
    let (along_time, along_components) = (size(Some(&[0, 1, 2])), size(Some(&[3, 1, 2])));
    let least = along_time.min(along_components);
    assert!(size(None) as f64 <= 1.05 * least as f64, "{} {along_time} {along_components}", size(None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Axes of one index, wherever they stand, change a stream by the few bytes that name axes, and no value.
    #[test]
    fn axes_of_one_index_change_nothing(
        (frames, rows, columns) in (1usize..12, 1usize..24, 1usize..24),
        places in proptest::collection::vec(0usize..4, 1..3),
        (kind, effort, seed) in (0usize..4, 0usize..2, any::<u64>()),
    ) {
        let plain = [frames, rows, columns];
        let mut dims = plain.to_vec();
        for place in places {
            dims.insert(place.min(dims.len()), 1);
        }
        let values = waves(&plain, 0.1, seed);
        let bound = [Bound::Nrmse(1e-3), Bound::Abs(0.02), Bound::Rel(1e-2), Bound::Lossless][kind];
        let effort = [Effort::Fast, Effort::Normal][effort];
        let (without, with) = (compress(&values, &plain, bound, None, effort), compress(&values, &dims, bound, None, effort));
        prop_assert!(with.len().abs_diff(without.len()) <= 16, "{} {} {dims:?}", with.len(), without.len());
        prop_assert_eq!(decode(&with, &dims), decode(&without, &plain));
    }
}
