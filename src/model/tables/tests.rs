use super::*;
use proptest::prelude::*;
use serde_json::json;

const TOTAL: u32 = 1 << PRECISION;

fn latents(z_channels: usize) -> Latents {
    let name = String::new;
    Latents {
        encoder: name(),
        hyper_encoder: name(),
        hyper_decoder: name(),
        decoder: name(),
        decoder_half: None,
        decoder_quarter: None,
        tables: name(),
        align: 64,
        max_tile: 256,
        frames: 8,
        y_channels: 1,
        y_downsample: 16,
        z_channels,
        z_downsample: 64,
        gains: vec![1.0],
    }
}

fn file(row: serde_json::Value, z: usize, y: usize, precision: usize) -> Vec<u8> {
    json!({ "precision": precision, "z": vec![row.clone(); z], "y": vec![row; y] }).to_string().into_bytes()
}

#[test]
fn sound_tables_are_read() {
    let row = json!({ "min": -1, "cdf": [0, 100, 65_000, 65_535, TOTAL] });
    let tables = Tables::parse(&file(row, 3, Y_ROWS, PRECISION), &latents(3)).unwrap();
    let row = tables.z(2);
    assert_eq!(tables.y(63), row);
    assert_eq!([-1, 0, 1].map(|value| row.symbol(value)), [0, 1, 2]);
    assert_eq!([-2, 2, i32::MIN, i32::MAX].map(|value| row.symbol(value)), [row.escape(); 4]);
    assert_eq!(row.interval(1), (100, 64_900));
    assert_eq!([0, 99, 100, 64_999, 65_000, 65_534, 65_535].map(|q| row.find(q)), [0, 0, 1, 1, 2, 2, 3]);
}

#[test]
fn wrong_tables_are_refused() {
    let sound = json!({ "min": 0, "cdf": [0, 5, TOTAL] });
    assert!(Tables::parse(&file(sound.clone(), 2, Y_ROWS, PRECISION), &latents(2)).is_ok());
    assert!(Tables::parse(&file(sound.clone(), 1, Y_ROWS, PRECISION), &latents(2)).is_err());
    assert!(Tables::parse(&file(sound.clone(), 2, Y_ROWS - 1, PRECISION), &latents(2)).is_err());
    assert!(Tables::parse(&file(sound, 2, Y_ROWS, 15), &latents(2)).is_err());
    let rows = [
        json!({ "min": 0, "cdf": [] }),
        json!({ "min": 0, "cdf": [0] }),
        json!({ "min": 0, "cdf": [0, TOTAL] }),
        json!({ "min": 0, "cdf": [0, 7, 7, TOTAL] }),
        json!({ "min": 0, "cdf": [0, 9, 7, TOTAL] }),
        json!({ "min": 0, "cdf": [1, 7, TOTAL] }),
        json!({ "min": 0, "cdf": [0, 7, TOTAL - 1] }),
        json!({ "min": 0, "cdf": [0, 7, u64::MAX] }),
        json!({ "min": i32::MIN, "cdf": [0, 7, TOTAL] }),
        json!({ "min": 0, "cdf": [0, 7.5, TOTAL] }),
        json!({ "min": 0, "cdf": (0..5000).chain([TOTAL]).collect::<Vec<u32>>() }),
    ];
    for row in rows {
        let error = Tables::parse(&file(row.clone(), 2, Y_ROWS, PRECISION), &latents(2)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model, "{row}");
    }
}

proptest! {
    #[test]
    fn intervals_and_quantiles_agree(
        cuts in prop::collection::btree_set(1u32..TOTAL, 1..50),
        min in -100i32..100,
        quantile in 0..TOTAL,
    ) {
        let mut cdf: Vec<u32> = [0].into_iter().chain(cuts).collect();
        cdf.push(TOTAL);
        let row = Row::new(min, cdf).unwrap();
        let symbol = row.find(quantile);
        let (start, frequency) = row.interval(symbol);
        prop_assert!((start..start + frequency).contains(&quantile));
        prop_assert!(symbol == row.escape() || row.symbol(row.value(symbol)) == symbol);
    }

    #[test]
    fn any_bytes_give_tables_or_an_error(bytes: Vec<u8>) {
        let _ = Tables::parse(&bytes, &latents(1));
    }
}
