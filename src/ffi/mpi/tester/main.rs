//! The program that the tests start under `mpirun`, once for each rank: does what a scenario says, and writes down what
//! it saw.

mod bench;
mod faults;
mod scenario;

use faults::Faults;
use fieldpress::archive::{Communicator as _, Reader, Selection, Writer, WriterOptions};
use fieldpress::{Error, FieldViewMut, Region, Result, Shape};
use fieldpress_mpi::MpiCommunicator;
use mpi::traits::Communicator;
use scenario::{Report, Scenario, What, values};
use std::rc::Rc;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().expect("a scenario, `bench`, `index` or `open`");
    if command == "index" {
        return bench::index(&arguments.collect::<Vec<_>>());
    }
    let universe = mpi::initialize().expect("MPI");
    let world = universe.world();
    match command.as_str() {
        "bench" => return bench::run(&world, &arguments.collect::<Vec<_>>()),
        "open" => return bench::open(&world, &arguments.collect::<Vec<_>>()),
        _ => {}
    }
    let scenario: Scenario = serde_json::from_str(&std::fs::read_to_string(&command).expect(&command)).expect("JSON");
    let mut run = Run { rank: world.rank() as usize, size: world.size() as usize, scenario, report: Report::default() };
    let outcome = run.write(&world);
    run.note("run", &outcome);
    run.report.finished = true;
    run.save();
}

struct Run {
    rank: usize,
    size: usize,
    scenario: Scenario,
    report: Report,
}

impl Run {
    fn note<T>(&mut self, call: &str, outcome: &Result<T>) {
        let text = match outcome {
            Ok(_) => "ok".to_owned(),
            Err(error) => format!("{:?}: {error}", error.kind()),
        };
        self.report.calls.push((call.to_owned(), text));
        self.save();
    }

    fn save(&self) {
        let name = format!("{}.{}", self.scenario.report, self.rank);
        std::fs::write(&name, serde_json::to_vec(&self.report).expect("JSON")).expect(&name);
    }

    fn options(&self) -> Result<WriterOptions> {
        let odd = self.scenario.odd_options.as_ref().filter(|(rank, _)| *rank == self.rank);
        let more = odd.map_or("", |(_, options)| options);
        format!("threads=1;fm=off;{};{more}", self.scenario.options).parse()
    }

    fn write(&mut self, world: &impl Communicator) -> Result<()> {
        let scenario = self.scenario.clone();
        let faults = Rc::new(Faults::new(&scenario.faults, self.rank));
        let comm = Box::new(MpiCommunicator::duplicate(world)?);
        let opened = Writer::open(comm, scenario.path.as_ref(), self.options()?);
        self.note("open", &opened);
        let mut writer = opened?;
        let observer = Rc::clone(&faults);
        writer.on_phase(move |phase| observer.enter(phase));
        let ids = scenario.define(&mut writer)?;
        for step in scenario.first_step..scenario.first_step + scenario.steps {
            faults.begin(step);
            writer.begin_step(step as f64)?;
            for put in scenario.puts.iter().filter(|put| put.rank == self.rank && put.step.is_none_or(|k| k == step)) {
                let wrong = faults.take("put", |what| matches!(what, What::WrongBox));
                let start = if wrong { &scenario.variables[put.variable].dims } else { &put.start };
                // The error comes back when the step ends.
                let _ = scenario.put(&mut writer, ids[put.variable], put, start, step);
            }
            if faults.take("end", |what| matches!(what, What::CloseEarly)) {
                break;
            }
            let ended = writer.end_step();
            self.note(&format!("end_step {step}"), &ended);
        }
        let closed = writer.close();
        self.note("close", &closed);
        if scenario.read_back {
            let read = self.read_back(world);
            self.note("read", &read);
        }
        Ok(())
    }

    /// Every rank reads another cut of the domain than was written, and compares.
    fn read_back(&self, world: &impl Communicator) -> Result<()> {
        let comm = MpiCommunicator::duplicate(world)?;
        let reader = Reader::open_shared(&comm, self.scenario.path.as_ref(), self.options()?.codec)?;
        for step in (0..reader.steps()).step_by(2) {
            reader.share_index(&comm, step)?;
        }
        if reader.steps() > 0 && reader.share_index(&comm, reader.steps()).is_ok() {
            return Err(Error::internal("a step that is not there was shared"));
        }
        Box::new(comm).free()?;
        for (number, variable) in self.scenario.variables.iter().enumerate() {
            let last = variable.dims.len() - 1;
            let size = variable.dims[last];
            let (from, until) = (self.rank * size / self.size, (self.rank + 1) * size / self.size);
            if from == until {
                continue;
            }
            let mut region = Region::whole(&Shape::new(&variable.dims)?);
            (region.start[last], region.count[last]) = (from, until - from);
            for step in 0..reader.steps() {
                let selection = Selection { region: Some(region.clone()), ..Selection::step(step) };
                let exact = values(number, reader.time(step)? as usize, &region.start, &region.count);
                let mut out = vec![0.0; exact.len()];
                if variable.double {
                    reader.read(number, &selection, &mut FieldViewMut::new(&mut out, &region.count)?)?;
                } else {
                    let mut narrow = vec![0f32; exact.len()];
                    reader.read(number, &selection, &mut FieldViewMut::new(&mut narrow, &region.count)?)?;
                    out = narrow.iter().map(|&v| f64::from(v)).collect();
                }
                let largest = out.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                // Every bound of the tests is tighter than this; what each promises is checked by the tests themselves.
                if largest > 0.5 {
                    return Err(Error::internal(format!("{} differs by {largest} at step {step}", variable.name)));
                }
            }
        }
        Ok(())
    }
}
