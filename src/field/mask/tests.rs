//! Masks, special patterns and fills.

use super::*;
use crate::entropy::{Decoder, Encoder};
use proptest::prelude::*;

fn encode(windows: &[Vec<u8>], h: usize, w: usize, kinds: u8) -> Vec<u8> {
    let mut coder = Encoder::new(Vec::new());
    let mut model = MaskModel::new();
    for window in windows {
        model.code(&mut coder, &mut window.clone(), [window.len() / (h * w), h, w], kinds).unwrap();
    }
    coder.finish()
}

fn decode(bytes: &[u8], counts: &[usize], h: usize, w: usize, kinds: u8) -> Result<Vec<Vec<u8>>> {
    let mut coder = Decoder::new(bytes);
    let mut model = MaskModel::new();
    counts
        .iter()
        .map(|&count| {
            let mut window = vec![7; count * h * w];
            model.code(&mut coder, &mut window, [count, h, w], kinds)?;
            Ok(window)
        })
        .collect()
}

/// Smooth islands: where a few waves add up to more than `level`.
fn islands(h: usize, w: usize, level: f64, shift: f64) -> Vec<u8> {
    (0..h * w)
        .map(|i| {
            let (y, x) = ((i / w) as f64 / h as f64 * 6.0, (i % w) as f64 / w as f64 * 12.0 + shift);
            let v = (x + 2.0 * (y * 1.3).sin()).sin()
                + (y * 2.1 + (x * 0.7).cos()).cos()
                + 0.5 * (3.1 * x - 2.3 * y).sin()
                + 0.3 * (7.7 * x + 5.9 * y).cos();
            u8::from(v > level)
        })
        .collect()
}

#[test]
fn a_static_land_mask_is_paid_once() {
    let (h, w) = (192, 288);
    let land = islands(h, w, 0.5, 0.0);
    let share = land.iter().filter(|&&c| c != 0).count() as f64 / land.len() as f64;
    let first = encode(std::slice::from_ref(&land), h, w, 1).len();
    let all = encode(&vec![land.repeat(8); 12], h, w, 1).len();
    println!("land mask of {share:.2}: first frame {first} bytes, 96 frames {all} bytes");
    assert!(first < 1000, "{first} bytes");
    assert!(all < first + 16, "{all} bytes for 96 frames, {first} for one");
}

#[test]
fn a_moving_mask_costs_little() {
    let (h, w) = (192, 288);
    let frames: Vec<u8> = (0..8).flat_map(|t| islands(h, w, 0.5, 0.01 * f64::from(t))).collect();
    let windows = [frames];
    let bytes = encode(&windows, h, w, 3);
    println!("moving mask: {} bytes for 8 frames", bytes.len());
    assert!(bytes.len() < 3500, "{} bytes", bytes.len());
    assert_eq!(decode(&bytes, &[8], h, w, 3).unwrap(), windows);
}

#[test]
fn no_mask_costs_nothing() {
    assert!(encode(&vec![vec![0; 8 * 64 * 64]; 100], 64, 64, 2).len() < 8);
    assert!(encode(&[vec![0; 64]], 8, 8, 0).len() <= 1);
}

#[test]
fn specials_keep_their_bits() {
    let mut specials = Specials::new();
    let nan = f32::from_bits(0x7fc0_1234);
    let values = [1.0f32, nan, f32::NEG_INFINITY, -0.0, f32::NAN, 1e20];
    assert!(specials.add(1e20f32.to_bits().into()));
    let special = |v: &&f32| !v.is_finite();
    assert!(values.iter().filter(special).all(|v| specials.add(v.to_bits().into())));
    assert_eq!(specials.patterns().len(), 4);
    assert!(specials.bits(0).is_none() && specials.bits(5).is_none() && !specials.is_empty());
    for v in values {
        let bits = u64::from(v.to_bits());
        let class = specials.class_of(bits);
        assert_eq!(class.is_some(), !v.is_finite() || v == 1e20);
        assert_eq!(class.and_then(|class| specials.bits(class)), class.map(|_| bits));
    }
    let mut many = Specials::new();
    assert!((0..255).all(|i| many.add(0x7ff8_0000_0000_0001 + i)));
    assert!(!many.add(0x7ff8_0000_0000_0000) && many.add(0x7ff8_0000_0000_0010));
    assert!((0..255).all(|i| many.class_of(0x7ff8_0000_0000_0001 + i) == Some(i as u8 + 1)));
    assert_eq!(many.class_of(0x7ff8_0000_0000_0100), None);
}

#[test]
fn fills_follow_a_slope() {
    let (h, w) = (40, 56);
    let truth = |i: usize| (i / w) as f64 * 0.5 + (i % w) as f64;
    let classes: Vec<u8> =
        (0..h * w).map(|i| u8::from((i / w).abs_diff(20).pow(2) + (i % w).abs_diff(28).pow(2) < 81)).collect();
    let mut frame: Vec<f64> = (0..h * w).map(|i| if classes[i] == 0 { truth(i) } else { f64::NAN }).collect();
    fill_holes(&mut frame, &classes, 1, h, w);
    let worst = frame.iter().enumerate().map(|(i, v)| (v - truth(i)).abs()).fold(0.0, f64::max);
    println!("slope: worst deviation {worst:.2} of 18 across the hole");
    assert!(worst < 2.5, "{worst}");
}

#[test]
fn frames_without_a_valid_point_become_zero() {
    let mut frames = vec![f32::NAN; 12];
    frames[..6].fill(3.0);
    let classes = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1];
    fill_holes(&mut frames, &classes, 2, 2, 3);
    assert_eq!(frames, [3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
}

proptest! {
    #[test]
    fn masks_round_trip(
        (h, w) in (1usize..12, 1usize..12), kinds in 1u8..=255, counts in prop::collection::vec(1usize..4, 1..4),
        seed in prop::collection::vec(0u8..=40, 64), still in any::<bool>(),
    ) {
        let mut n = 0;
        let windows: Vec<Vec<u8>> = counts.iter().map(|&count| (0..count * h * w).map(|i| {
            n += usize::from(!still);
            let value = seed[(if still { i % (h * w) } else { n }) * 7 % 64];
            if value > kinds { 0 } else { value }
        }).collect()).collect();
        let bytes = encode(&windows, h, w, kinds);
        prop_assert_eq!(decode(&bytes, &counts, h, w, kinds).unwrap(), windows);
    }

    #[test]
    fn hostile_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200), kinds in 0u8..=255) {
        if let Ok(windows) = decode(&bytes, &[2, 3], 9, 7, kinds) {
            prop_assert!(windows.iter().flatten().all(|&c| c <= kinds));
        }
    }

    #[test]
    fn fills_stay_within_the_valid_range(
        (h, w) in (1usize..20, 1usize..20), values in prop::collection::vec(-1.0f32..1.0, 400),
        holes in prop::collection::vec(0u8..3, 400),
    ) {
        let size = h * w;
        let classes = &holes[..size];
        let mut frame: Vec<f32> = (0..size).map(|i| if classes[i] == 0 { values[i] } else { f32::INFINITY }).collect();
        fill_holes(&mut frame, classes, 1, h, w);
        let valid = (0..size).filter(|&i| classes[i] == 0).map(|i| values[i]);
        let (low, high) = valid.fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        for i in 0..size {
            if classes[i] == 0 {
                prop_assert_eq!(frame[i], values[i]);
            } else if low <= high {
                prop_assert!(frame[i] >= low - 1e-6 && frame[i] <= high + 1e-6);
            } else {
                prop_assert_eq!(frame[i], 0.0);
            }
        }
    }
}
