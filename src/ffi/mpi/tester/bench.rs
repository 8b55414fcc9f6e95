//! Measures steps: `bench KIND PATH STEPS NX NY NZ`, KIND beginning with `weak` (sizes of each rank's box) or `strong`
//! (of the domain). Prints one line of CSV a step from rank 0: seconds are the means and maxima over ranks. And `index
//! PATH CHUNKS ...`: the cost of the index of a step with so many chunks, all put by one process, so that there is no
//! communication in it. And `open PATH`: what it costs all ranks to open such an archive.

use fieldpress::archive::{Communicator as _, Reader, Selection, Serial, VariableInfo, Writer, WriterOptions};
use fieldpress::{Bound, DType, FieldView, FieldViewMut, Options, Region, Shape};
use fieldpress_mpi::MpiCommunicator;
use mpi::collective::SystemOperation;
use mpi::traits::{Communicator, CommunicatorCollectives};
use std::time::Instant;

pub fn run(world: &impl Communicator, arguments: &[String]) {
    let [kind, path, steps, sizes @ ..] = arguments else { panic!("bench KIND PATH STEPS NX NY NZ [OPTIONS]") };
    let (rank, size) = (world.rank() as usize, world.size() as usize);
    let number = |text: &String| text.parse::<usize>().expect("a number");
    let given: Vec<usize> = sizes[..3].iter().map(number).collect();
    let options: WriterOptions =
        format!("mode=replace;threads=1;{}", sizes.get(3).map_or("", String::as_str)).parse().expect("options");
    let grid = grid(size);
    let domain: Vec<usize> = (0..3).map(|k| given[k] * if kind.starts_with("weak") { grid[k] } else { 1 }).collect();
    let place = [rank / (grid[1] * grid[2]), rank / grid[2] % grid[1], rank % grid[2]];
    let start: Vec<usize> = (0..3).map(|k| place[k] * domain[k] / grid[k]).collect();
    let count: Vec<usize> = (0..3).map(|k| (place[k] + 1) * domain[k] / grid[k] - start[k]).collect();

    let comm = MpiCommunicator::duplicate(world).expect("a communicator");
    let mut writer = Writer::open(Box::new(comm), path.as_ref(), options).expect("an archive");
    let info = VariableInfo {
        name: "u".into(),
        shape: Shape::new(&domain).expect("a shape"),
        dtype: DType::F64,
        attributes: Vec::new(),
    };
    let id = writer.define(info).expect("a variable");
    for step in 0..number(steps) {
        let values = flow(step, &start, &count);
        world.barrier();
        let begin = Instant::now();
        writer.begin_step(step as f64).expect("a step");
        let field = FieldView::new(&values, &count).expect("a field");
        writer.put(id, &start, &field, Bound::Nrmse(1e-3)).expect("a put");
        let report = writer.end_step().expect("the step");
        let own = [
            begin.elapsed().as_secs_f64(),
            report.local_seconds,
            report.wait_seconds,
            report.collective_seconds,
            report.input_bytes as f64,
            report.stream_bytes as f64,
        ];
        let (mut sums, mut most) = ([0.0; 6], [0.0; 6]);
        world.all_reduce_into(&own, &mut sums, SystemOperation::sum());
        world.all_reduce_into(&own, &mut most, SystemOperation::max());
        if rank == 0 {
            let mean = |k: usize| sums[k] / size as f64;
            println!(
                "{kind},{size},{}x{}x{},{step},{:.6},{:.6},{:.6},{:.6},{:.6},{:.6},{},{},{}",
                domain[0],
                domain[1],
                domain[2],
                most[0],
                mean(1),
                most[1],
                mean(2),
                mean(3),
                most[3],
                sums[4],
                sums[5],
                report.index_bytes
            );
        }
    }
    writer.close().expect("closing");
}

/// See the module's description.
pub fn index(arguments: &[String]) {
    let [path, counts @ ..] = arguments else { panic!("index PATH CHUNKS ...") };
    const SIDE: usize = 4;
    for count in counts {
        let chunks: usize = count.parse().expect("a number");
        let grid = grid(chunks);
        let domain = grid.map(|n| n * SIDE);
        let options: WriterOptions = "mode=replace;threads=1;effort=0".parse().expect("options");
        let mut writer = Writer::open(Box::new(Serial), path.as_ref(), options).expect("an archive");
        let info = VariableInfo {
            name: "u".into(),
            shape: Shape::new(&domain).expect("a shape"),
            dtype: DType::F32,
            attributes: Vec::new(),
        };
        let id = writer.define(info).expect("a variable");
        let values: Vec<f32> = (0..SIDE * SIDE * SIDE).map(|i| (i * i % 17) as f32).collect();
        let mut best: Option<(f64, u64)> = None;
        for step in 0..5 {
            writer.begin_step(step as f64).expect("a step");
            for k in 0..chunks {
                let start = [k / (grid[1] * grid[2]) * SIDE, k / grid[2] % grid[1] * SIDE, k % grid[2] * SIDE];
                let field = FieldView::new(&values, &[SIDE; 3]).expect("a field");
                writer.put(id, &start, &field, Bound::Lossless).expect("a put");
            }
            let report = writer.end_step().expect("the step");
            // The first commit also holds the definitions.
            if step > 0 && best.is_none_or(|(seconds, _)| report.collective_seconds < seconds) {
                best = Some((report.collective_seconds, report.index_bytes));
            }
        }
        writer.close().expect("closing");
        let (commit, bytes) = best.expect("five steps");
        let begin = Instant::now();
        let reader = Reader::open(path.as_ref()).expect("an archive");
        let open = begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        let selection = Selection {
            region: Some(Region { start: domain.map(|n| n / 2).to_vec(), count: vec![1; 3] }),
            ..Selection::step(3)
        };
        let mut out = [0f32];
        let mut view = FieldViewMut::new(&mut out, &[1, 1, 1]).expect("a field");
        reader.read(0, &selection, &mut view).expect("a point");
        let read = begin.elapsed().as_secs_f64();
        println!("{chunks},{bytes},{:.2},{commit:.6},{open:.6},{read:.6}", bytes as f64 / chunks as f64);
    }
}

/// How long all ranks take until each has the index of step 1, and how many bytes of the file they read for it: each
/// for itself, and from rank 0.
pub fn open(world: &impl Communicator, arguments: &[String]) {
    let [path] = arguments else { panic!("open PATH") };
    let comm = MpiCommunicator::duplicate(world).expect("a communicator");
    for way in ["each", "shared"] {
        let mut best: Option<[f64; 2]> = None;
        for _ in 0..7 {
            world.barrier();
            let (begin, before) = (Instant::now(), bytes_read());
            let reader = if way == "shared" {
                let reader = Reader::open_shared(&comm, path.as_ref(), Options::default()).expect("an archive");
                reader.share_index(&comm, 1).expect("a step");
                reader
            } else {
                Reader::open(path.as_ref()).expect("an archive")
            };
            let chunks = reader.chunks(0, 1).expect("the index").len();
            let own = [begin.elapsed().as_secs_f64(), (bytes_read() - before) as f64];
            let (mut most, mut sums) = ([0.0; 2], [0.0; 2]);
            world.all_reduce_into(&own, &mut most, SystemOperation::max());
            world.all_reduce_into(&own, &mut sums, SystemOperation::sum());
            assert!(chunks > 0);
            if best.is_none_or(|[seconds, _]| most[0] < seconds) {
                best = Some([most[0], sums[1]]);
            }
        }
        let [seconds, bytes] = best.expect("seven rounds");
        if world.rank() == 0 {
            println!("{way},{},{seconds:.6},{bytes}", world.size());
        }
    }
    Box::new(comm).free().expect("freeing");
}

/// Bytes that this process has asked of files, as Linux counts them.
fn bytes_read() -> u64 {
    let counters = std::fs::read_to_string("/proc/self/io").expect("Linux's counters");
    let line = counters.lines().find_map(|line| line.strip_prefix("rchar: ")).expect("rchar");
    line.trim().parse().expect("a number")
}

/// Three factors of the number of ranks, as equal as can be.
fn grid(size: usize) -> [usize; 3] {
    let mut best = [size, 1, 1];
    for a in 1..=size {
        for b in (1..=size / a).filter(|b| size.is_multiple_of(a * b)) {
            let c = size / (a * b);
            let spread = |g: &[usize; 3]| g.iter().max().unwrap_or(&1) - g.iter().min().unwrap_or(&1);
            if spread(&[a, b, c]) < spread(&best) {
                best = [a, b, c];
            }
        }
    }
    best
}

/// Travelling waves of several lengths with a moving front: smooth, not periodic in a box, different at each place.
fn flow(step: usize, start: &[usize], count: &[usize]) -> Vec<f64> {
    let t = step as f64 * 0.1;
    let mut out = Vec::with_capacity(count.iter().product());
    for z in start[0]..start[0] + count[0] {
        for y in start[1]..start[1] + count[1] {
            for x in start[2]..start[2] + count[2] {
                let (z, y, x) = (z as f64, y as f64, x as f64);
                let waves = (0.11 * x + 0.05 * z - t).sin() * (0.07 * y + 0.4 * t).cos()
                    + 0.3 * (0.31 * x - 0.23 * y + 0.17 * z + 2.0 * t).sin()
                    + 0.1 * (0.53 * y + 0.61 * z - 3.0 * t).cos() * (0.43 * x).sin();
                let front = (0.2 * (x + 0.5 * y - 40.0 - 6.0 * t)).tanh();
                out.push(waves + front);
            }
        }
    }
    out
}
