//! Sentinels in archives: what marks points without data is that of a variable, whatever its boxes and steps hold.

mod common;

use common::archive::{folder, global, options, read, variable};
use fieldpress::archive::{Mode, Reader, Selection, Serial, Writer, WriterOptions};
use fieldpress::{Bound, DType, FieldView, Sentinels};
use proptest::prelude::*;

const DIMS: [usize; 2] = [24, 40];
/// Boxes of a step, and their rows.
const BOXES: usize = 4;
const ROWS: usize = DIMS[0] / BOXES;
const STEPS: usize = 4;

/// What a box holds at a step.
#[derive(Clone, Copy, Debug)]
enum Held {
    Data,
    /// Data, and a rectangle of marks.
    Both,
    Marks,
    /// One value, and a rectangle of marks.
    Constant,
}

const HELD: [Held; 4] = [Held::Data, Held::Both, Held::Marks, Held::Constant];

fn step(held: &[Held], mark: f64, number: usize) -> Vec<f64> {
    let mut values = global(&DIMS, number);
    for (at, value) in values.iter_mut().enumerate() {
        let (y, x) = (at / DIMS[1], at % DIMS[1]);
        let in_rectangle = y % ROWS > 1 && (5..20).contains(&x);
        *value = match held[y / ROWS] {
            Held::Marks => mark,
            Held::Both | Held::Constant if in_rectangle => mark,
            Held::Constant => 0.5,
            _ => *value,
        };
    }
    values
}

fn write(name: &str, fields: &[Vec<f64>], bound: Bound, more: WriterOptions) -> (Reader, Vec<f64>) {
    let path = folder(name).join("a.fpa");
    let mut writer = Writer::open(Box::new(Serial), &path, WriterOptions { mode: Mode::Replace, ..more }).unwrap();
    let id = writer.define(variable("t", &DIMS, DType::F64)).unwrap();
    let mut found = Vec::new();
    for (number, values) in fields.iter().enumerate() {
        writer.begin_step(number as f64).unwrap();
        for (k, part) in values.chunks(ROWS * DIMS[1]).enumerate() {
            writer.put(id, &[k * ROWS, 0], &FieldView::new(part, &[ROWS, DIMS[1]]).unwrap(), bound).unwrap();
        }
        found.extend(writer.end_step().unwrap().sentinels);
    }
    found.extend(writer.close().unwrap().sentinels);
    (Reader::open(&path).unwrap(), found)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Wherever the marks are: they come back, they are in no range, and the bound holds over all that is data.
    #[test]
    fn marks_are_those_of_the_variable(
        held in prop::collection::vec(prop::collection::vec(prop::sample::select(&HELD[..]), BOXES), STEPS),
        mark in prop::sample::select(&[-9999.0f64, 1e20, -7777.5, -1e34][..]),
        window in 1usize..=STEPS,
        bound in prop::sample::select(&["rel=1e-3", "nrmse=1e-3", "psnr=55", "abs=0.01"][..]),
    ) {
        let mut held = held;
        // One box shows what they are: in the others they may be all there is.
        held.iter_mut().for_each(|boxes| boxes[0] = Held::Both);
        let fields: Vec<Vec<f64>> = held.iter().enumerate().map(|(k, held)| step(held, mark, k)).collect();
        let bound: Bound = bound.parse().unwrap();
        let more = WriterOptions { window, ..options() };
        let (reader, found) = write("drawn", &fields, bound, more);
        prop_assert!(!found.is_empty() && found.iter().all(|&value| value == mark), "{found:?}");
        for first in (0..STEPS).step_by(window) {
            let steps = first..STEPS.min(first + window);
            let (mut low, mut high, mut squares, mut largest, mut points) = (f64::MAX, f64::MIN, 0.0, 0.0f64, 0);
            for number in steps {
                let decoded = read(&reader, 0, &Selection::step(number as u64)).unwrap();
                for (&a, &b) in fields[number].iter().zip(&decoded) {
                    if a == mark {
                        prop_assert_eq!(a.to_bits(), b.to_bits());
                        continue;
                    }
                    (low, high, points) = (low.min(a), high.max(a), points + 1);
                    (squares, largest) = (squares + (a - b).powi(2), largest.max((a - b).abs()));
                }
            }
            let range = reader.commit_info(0, first as u64).unwrap().unwrap().range;
            prop_assert_eq!(range, high - low);
            let rms = (squares / f64::from(points)).sqrt();
            match bound {
                Bound::Rel(e) => prop_assert!(largest <= e * range),
                Bound::Nrmse(e) => prop_assert!(rms <= e * range * (1.0 + 1e-9)),
                Bound::Psnr(db) => prop_assert!(20.0 * (range / rms).log10() >= db - 1e-6),
                Bound::Abs(e) => prop_assert!(largest <= e),
                _ => unreachable!("no other bound is tried"),
            }
        }
    }
}

/// What is said to be data is.
#[test]
fn the_option_holds_in_archives() {
    let fields = [step(&[Held::Both, Held::Data, Held::Marks, Held::Data], -9999.0, 0)];
    let mut more = options();
    more.codec = more.codec.with_sentinels(Sentinels::Off);
    let (reader, found) = write("off", &fields, Bound::Rel(1e-3), more);
    assert!(found.is_empty() && reader.commit_info(0, 0).unwrap().unwrap().range > 9000.0);
    let mut more = options();
    more.codec = more.codec.with_sentinels(Sentinels::Given(vec![-9999.0]));
    let (reader, found) = write("given", &fields, Bound::Rel(1e-3), more);
    assert!(found.is_empty() && reader.commit_info(0, 0).unwrap().unwrap().range < 20.0);
}
