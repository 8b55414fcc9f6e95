use super::{Enhanced, Enhancement, Enhancer, Network, Queue, Views, turn_planes};
use crate::model::Model;
use crate::model::testing::runtime;
use crate::predict::Step;
use crate::stream::{SegmentBytes, Stream};
use crate::{
    Bound, Codec, Device, Effort, FieldView, FieldViewMut, FmMode, Options, ReferenceFrame, Region, Request, inspect,
};

const H: usize = 40;
const W: usize = 72;

fn options() -> Options {
    Options { threads: Some(1), device: Device::Cpu, fm: FmMode::On, effort: Effort::High, ..Options::default() }
}

fn how(views: Views) -> Enhancement {
    Enhancement { noise: Step::at_most(0.01), network: Network::Small, views }
}

/// Waves, and noise of about a hundredth.
fn frames(count: usize) -> Vec<f32> {
    (0..count * H * W)
        .map(|i| {
            let (t, y, x) = ((i / (H * W)) as f32, (i / W % H) as f32, (i % W) as f32);
            let noise = (i as u32).wrapping_mul(0x9e37_79b9).rotate_left(13).wrapping_mul(0x85eb_ca6b) >> 16;
            (0.21 * x + 0.1 * y - 0.4 * t).sin() + (0.05 * x - 0.17 * y + 0.2 * t).cos() + noise as f32 / 3e6
        })
        .collect()
}

/// Volumes, whole ones at a time, are enhanced as each would be alone.
#[test]
fn volumes_are_enhanced_one_by_one() {
    runtime();
    let model = Model::open(&options()).unwrap();
    let enhancer = || Enhancer::new(&model, H, W, how(Views::One), 2f32.powi(-18)).unwrap();
    let (depth, count, n) = (4, 12, H * W);
    let frames = frames(count);
    let mut alone = Vec::new();
    for volume in frames.chunks_exact(depth * n) {
        let mut corrections = Vec::new();
        enhancer().corrections(volume, 0, 0..depth, &mut corrections).unwrap();
        alone.extend(volume.iter().zip(corrections).map(|(v, c)| v + c));
    }
    for (windows, from) in [(vec![3], 0), (vec![1, 2], 0), (vec![2, 1], 4), (vec![1, 1, 1], 8)] {
        let mut queue = Queue::new(enhancer().of_volumes(depth), count, n, from);
        let (mut first, mut next) = (0, from);
        for planes in windows.into_iter().map(|volumes| volumes * depth) {
            if first + planes > from {
                queue.push(&frames[first * n..][..planes * n], &[]);
            } else {
                queue.skip(planes);
            }
            first += planes;
            let popped: Option<Enhanced<'_, f32>> = queue.pop(count).unwrap();
            let Some(found) = popped else { continue };
            assert_eq!((found.first, (found.first + found.count) % depth), (next, 0));
            next += found.count;
            assert_eq!(found.frames, alone[found.first * n..next * n]);
        }
        assert_eq!(next, count);
    }
}

#[test]
fn what_comes_out_does_not_depend_on_how_frames_come_in() {
    runtime();
    let model = Model::open(&options()).unwrap();
    let enhancer = || Enhancer::new(&model, H, W, how(Views::One), 2f32.powi(-18)).unwrap();
    let (count, n) = (11, H * W);
    let frames = frames(count);
    let mut whole = Vec::new();
    enhancer().corrections(&frames, 0, 0..count, &mut whole).unwrap();
    assert!(whole.iter().any(|&c| c != 0.0) && whole.iter().all(|c| c.abs() < 0.1));
    let classes: Vec<u8> = (0..frames.len()).map(|i| (i % 7) as u8).collect();
    for (windows, from, until) in
        [(vec![11], 0, 11), (vec![1; 11], 0, 11), (vec![4, 4, 3], 5, 7), (vec![9, 2], 10, 11), (vec![3, 8], 0, 1)]
    {
        let mut queue = Queue::new(enhancer(), count, n, from);
        let (mut first, mut next) = (0, from);
        for window in windows {
            if first + window + queue.context() > from {
                queue.push(&frames[first * n..][..window * n], &classes[first * n..][..window * n]);
            } else {
                queue.skip(window);
            }
            first += window;
            let popped: Option<Enhanced<'_, f32>> = queue.pop(until).unwrap();
            let Some(found) = popped else { continue };
            assert_eq!(found.first, next);
            next += found.count;
            let range = found.first * n..next * n;
            assert_eq!(found.classes, &classes[range.clone()]);
            for ((a, v), c) in found.frames.iter().zip(&frames[range.clone()]).zip(&whole[range]) {
                assert_eq!(*a, v + c);
            }
        }
        assert_eq!(next, until);
    }
}

#[test]
fn four_views_of_turned_frames_are_the_same_four() {
    runtime();
    let model = Model::open(&options()).unwrap();
    let grid = 2f32.powi(-18);
    // Frames that need no padding, which is not turned with them.
    let (h, w) = (32, 64);
    let corrections = |frames: &[f32], views: Views| {
        let mut out = Vec::new();
        Enhancer::new(&model, h, w, how(views), grid).unwrap().corrections(frames, 0, 2..3, &mut out).unwrap();
        out
    };
    let frames = frames(5)[..5 * h * w].to_vec();
    let (one, four) = (corrections(&frames, Views::One), corrections(&frames, Views::Four));
    assert!(one.iter().zip(&four).any(|(a, b)| (a - b).abs() > 4.0 * grid));
    let turn = [true, false, true];
    let (mut turned, mut back) = (vec![0.0; frames.len()], vec![0.0; four.len()]);
    turn_planes(&frames, (h, w), turn, &mut turned);
    turn_planes(&corrections(&turned, Views::Four), (h, w), turn, &mut back);
    assert!(four.iter().zip(&back).all(|(a, b)| (a - b).abs() <= 2.0 * grid));
}

#[test]
fn frames_that_are_the_same_everywhere_are_left_alone() {
    runtime();
    let model = Model::open(&options()).unwrap();
    let mut out = Vec::new();
    let enhancer = Enhancer::new(&model, H, W, how(Views::One), 2f32.powi(-18)).unwrap();
    enhancer.corrections(&vec![0.5; 3 * H * W], 0, 1..2, &mut out).unwrap();
    assert_eq!(out, vec![0.0; H * W]);
}

#[test]
fn the_highest_effort_uses_the_larger_network() {
    runtime();
    let values = frames(20);
    let view = FieldView::new(&values, &[20, H, W]).unwrap();
    for (effort, expected) in [(Effort::Normal, Network::Small), (Effort::High, Network::Fine)] {
        let codec = Codec::new(Options { effort, ..options() }).unwrap();
        let (stream, _) = codec.compress(&view, Bound::Nrmse(1e-2)).unwrap();
        let (method, _) = SegmentBytes::read(Stream::parse(&stream).unwrap().section(0).unwrap()).unwrap();
        assert_eq!(method.enhance.map(|how| how.network), Some(expected), "{effort:?}");
    }
}

#[test]
fn boxes_are_parts_of_the_whole_and_masked_points_exact() {
    runtime();
    let codec = Codec::new(options()).unwrap();
    let dims = [20, H, W];
    let mut values = frames(dims[0]);
    for (i, v) in values.iter_mut().enumerate() {
        if i % (H * W) < 200 {
            *v = f32::NAN;
        }
    }
    let (stream, _) = codec.compress(&FieldView::new(&values, &dims).unwrap(), Bound::Nrmse(1e-2)).unwrap();
    let (method, _) = SegmentBytes::read(Stream::parse(&stream).unwrap().section(0).unwrap()).unwrap();
    assert!(method.enhance.is_some());
    let decode = |start: [usize; 3], count: [usize; 3]| {
        let mut out = vec![0f32; count.iter().product()];
        let region = Some(Region { start: start.to_vec(), count: count.to_vec() });
        let request = Request { region, ..Default::default() };
        codec.decompress(&stream, &request, &mut FieldViewMut::new(&mut out, &count).unwrap()).unwrap();
        out
    };
    let whole = decode([0; 3], dims);
    assert!(values.iter().zip(&whole).all(|(a, b)| !a.is_nan() || a.to_bits() == b.to_bits()));
    for (start, count) in
        [([0, 0, 0], [1, H, W]), ([7, 3, 5], [4, 20, 30]), ([19, 0, 0], [1, 9, W]), ([1, 8, 8], [18, 1, 1])]
    {
        let part = decode(start, count);
        for (i, v) in part.iter().enumerate() {
            let (t, y, x) = (i / (count[1] * count[2]), i / count[2] % count[1], i % count[2]);
            let at = ((start[0] + t) * H + start[1] + y) * W + start[2] + x;
            assert_eq!(v.to_bits(), whole[at].to_bits(), "{start:?} {count:?}: {t} {y} {x}");
        }
    }
}

#[test]
fn fields_follow_frames_that_another_device_has_a_little_differently() {
    runtime();
    // A number of threads that no other test asks for, so that no other test shares the model.
    let options = Options { threads: Some(4), ..options() };
    let codec = Codec::new(options.clone()).unwrap();
    let model = Model::open(&options).unwrap();
    let (dims, n) = ([9, H, W], H * W);
    let values = frames(18);
    let (first, second) = values.split_at(9 * n);
    let bound = Bound::Nrmse(1e-2);
    let view = |values| FieldView::new(values, &dims).unwrap();
    let decode = |stream: &[u8], before: Option<&[f32]>| {
        let mut out = vec![0f32; 9 * n];
        let mut target = FieldViewMut::new(&mut out, &dims).unwrap();
        let request = Request::default();
        match before {
            None => codec.decompress(stream, &request, &mut target).unwrap(),
            Some(frame) => {
                let before = ReferenceFrame { frame: FieldView::new(frame, &[1, H, W]).unwrap(), drift: 0.0 };
                codec.decompress_after(stream, &request, &before, &mut target).unwrap()
            }
        };
        out
    };
    let (one, report) = codec.compress(&view(first), bound).unwrap();
    let last = decode(&one, None)[8 * n..].to_vec();
    let before = ReferenceFrame { frame: FieldView::new(&last, &[1, H, W]).unwrap(), drift: report.drift };
    let (two, _) = codec.compress_after(&view(second), bound, &before).unwrap();
    let info = inspect(&two).unwrap();
    assert!(info.follows && report.drift > 0.0);
    model.set_perturbation(0.999);
    let moved = decode(&one, None)[8 * n..].to_vec();
    let out = decode(&two, Some(&moved));
    model.set_perturbation(0.0);
    assert!(last != moved, "the last frame is enhanced");
    let squared: f64 = second.iter().zip(&out).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
    assert!((squared / out.len() as f64).sqrt() <= 1e-2 * info.range);
}
