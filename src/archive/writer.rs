//! Writing: variables are defined, steps begin, boxes are put, steps end; a full window is committed.

use super::agreement::{Met, agree, agree_and_reduce, agree_on};
use super::budget::{Global, allocate_bits, reduce_stats};
use super::chain::{self, Chains, Link};
use super::coded::Coded;
use super::commit::{Output, Window};
use super::communicator::Communicator;
use super::definitions::{Attribute, Definitions, VariableInfo, check_name};
use super::options::WriterOptions;
use super::pending::{self, Following, Pending};
use super::progress::{Clock, Observer, Phase, StepReport, enter, unpanicked};
use crate::bound::Bound;
use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::field::{FieldView, MAX_DIMS, Region};
use crate::model::Package;
use crate::options::Options;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// A variable of a [`Writer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VariableId(pub(super) usize);

impl VariableId {
    /// Its number: its place in the order of definitions.
    pub fn number(self) -> usize {
        self.0
    }

    /// The variable of a number.
    pub fn from_number(number: usize) -> Self {
        Self(number)
    }
}

/// The calls that all ranks make together; ranks compare which one they are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    EndStep = 1,
    Flush = 2,
    Close = 3,
}

/// A writer of an archive, one of those of all ranks.
///
/// `open`, `end_step`, `flush` and `close` are collective. `define`, `begin_step` and `put` are not, but what they were
/// told is compared when the step ends. An error on one rank becomes, at the next collective call, the same error on
/// all, naming the rank; that step is dropped, or the window where it could not be committed; what was committed before
/// stays, and writing may go on.
pub struct Writer {
    comm: Box<dyn Communicator>,
    options: WriterOptions,
    codec: Codec,
    /// The package to be embedded: the one that all ranks have open since the archive was opened, whatever lies on the
    /// disk later.
    model: Option<Arc<Package>>,
    /// `None` once it is closed.
    output: Option<Output>,
    committed: u64,
    definitions: Definitions,
    /// The time of the step in progress.
    step: Option<f64>,
    times: Vec<f64>,
    pending: Vec<Pending>,
    chains: Chains,
    failure: Option<Error>,
    /// Seconds spent in `put` since the last commit.
    put_seconds: f64,
    observer: Observer,
}

/// The codec, and the model package that is to be embedded, if any.
fn codec_and_model(options: &WriterOptions) -> Result<(Codec, Option<Arc<Package>>)> {
    let codec = Codec::new(options.codec.clone())?;
    let model = options.embed_model.then(|| codec.package()).transpose()?;
    Ok((codec, model))
}

impl Writer {
    /// Creates an archive, or opens it for appending; collective.
    ///
    /// # Errors
    /// On all ranks alike. `Io` where the file cannot be created or, without [`super::Mode::Replace`], exists;
    /// `InvalidArgument` for options that are not the same on all ranks; `Corrupt` for an archive that cannot be
    /// appended to.
    pub fn open(comm: Box<dyn Communicator>, path: &Path, options: WriterOptions) -> Result<Self> {
        let span = tracing::info_span!("archive.open", rank = comm.rank());
        let _entered = span.enter();
        let codec = Self::checked(&options).and_then(|()| codec_and_model(&options));
        let model = codec.as_ref().ok().and_then(|(_, model)| model.clone());
        let model_number =
            model.as_ref().map_or(0, |model| u64::from_be_bytes(std::array::from_fn(|k| model.hash()[k])));
        let mut digest = crc32fast::Hasher::new();
        // Where the codec runs is each rank's own; what it makes is not.
        let codec_in_common =
            Options { model: None, device: Default::default(), threads: None, ..options.codec.clone() }
                .with_trust_embedded_model(false);
        let common = WriterOptions { codec: codec_in_common, ..options.clone() };
        digest.update(format!("{common:?} {}", path.display()).as_bytes());
        let options_digest = u64::from(digest.finalize());
        let facts = [("options", options_digest), ("the model to embed", model_number)];
        let opened = agree(&*comm, &facts, codec.as_ref().err())
            .and_then(|()| Output::open(&*comm, path, &options, model.as_deref()));
        let (output, definitions) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                // All ranks have this error, so all free.
                let _ = comm.free();
                return Err(error);
            }
        };
        Ok(Self {
            comm,
            codec: codec?.0,
            model,
            committed: output.steps(),
            output: Some(output),
            definitions,
            step: None,
            times: Vec::new(),
            pending: Vec::new(),
            chains: Chains::new(),
            failure: None,
            put_seconds: 0.0,
            observer: None,
            options,
        })
    }

    fn checked(options: &WriterOptions) -> Result<()> {
        for (name, value) in [("window", options.window), ("keyframe", options.keyframe)] {
            if value == 0 {
                return Err(Error::invalid(format!("{name}=0: expected at least 1")));
            }
        }
        Ok(())
    }

    /// In place of [`Writer::open`] on a rank that has found an error before: all ranks get it.
    pub fn refuse_to_open(comm: Box<dyn Communicator>, error: Error) -> Error {
        let agreed = agree(&*comm, &[("options", 0)], Some(&error));
        agreed.err().unwrap_or(error)
    }

    /// Defines a variable; the same on all ranks. A variable of an archive that is appended to keeps its number; its
    /// shape and type must be what they were, its attributes are replaced.
    ///
    /// # Errors
    /// `InvalidArgument` for a name that is not valid or defined already, for more axes than a window of steps leaves
    /// room for, or during a step.
    pub fn define(&mut self, variable: VariableInfo) -> Result<VariableId> {
        self.outside_step("variables are defined")?;
        check_name(&variable.name)?;
        if self.options.window > 1 && variable.shape.ndim() == MAX_DIMS {
            return Err(Error::invalid(format!(
                "variable {}: {MAX_DIMS} axes leave none for a window of {} steps; use window=1",
                variable.name, self.options.window
            )));
        }
        if let Some(number) = self.definitions.variables.iter().position(|known| known.name == variable.name) {
            let known = &mut self.definitions.variables[number];
            if known.shape != variable.shape || known.dtype != variable.dtype {
                return Err(Error::invalid(format!(
                    "variable {} is defined already, as {} {}; not {} {}",
                    variable.name,
                    known.shape,
                    known.dtype.name(),
                    variable.shape,
                    variable.dtype.name()
                )));
            }
            known.attributes = variable.attributes;
            return Ok(VariableId(number));
        }
        self.definitions.variables.push(variable);
        Ok(VariableId(self.definitions.variables.len() - 1))
    }

    /// Sets an attribute, of a variable or of the archive; the same on all ranks.
    ///
    /// # Errors
    /// `InvalidArgument` for a name that is not valid, a variable that is not defined, or during a step.
    pub fn set_attribute(&mut self, variable: Option<VariableId>, name: &str, value: Attribute) -> Result<()> {
        self.outside_step("attributes are set")?;
        check_name(name)?;
        let attributes = match variable {
            None => &mut self.definitions.attributes,
            Some(variable) => &mut self.variable_mut(variable)?.attributes,
        };
        match attributes.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => attributes.push((name.to_owned(), value)),
        }
        Ok(())
    }

    fn outside_step(&self, what: &str) -> Result<()> {
        match self.step {
            None => Ok(()),
            Some(_) => Err(Error::invalid(format!("{what} before a step begins, not during one"))),
        }
    }

    fn variable_mut(&mut self, variable: VariableId) -> Result<&mut VariableInfo> {
        let count = self.definitions.variables.len();
        self.definitions.variables.get_mut(variable.0).ok_or_else(|| {
            Error::invalid(format!("variable number {} is not defined; {count} variables are", variable.0))
        })
    }

    /// The variables and attributes defined so far.
    pub fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    /// Steps that are committed.
    pub fn committed_steps(&self) -> u64 {
        self.committed
    }

    /// Calls `observer` at the beginning of each phase of this rank's work, for progress displays and for tests of
    /// faults.
    pub fn on_phase(&mut self, observer: impl FnMut(Phase) + 'static) {
        self.observer = Some(Box::new(observer));
    }

    /// Begins a step; `time` says which, usually the simulated time. The same on all ranks.
    ///
    /// # Errors
    /// `InvalidArgument` during a step.
    pub fn begin_step(&mut self, time: f64) -> Result<()> {
        self.outside_step("a step begins")?;
        self.step = Some(time);
        Ok(())
    }

    /// Gives this rank's values in a box of a variable. They are copied: the caller's memory is free afterwards. A rank
    /// may put any number of boxes of a variable in a step, also none; boxes must not overlap, on any rank.
    ///
    /// # Errors
    /// `InvalidArgument` for a variable that is not defined, a box outside its domain, values of another shape or type,
    /// or outside a step. All ranks get the error when the step ends.
    pub fn put(&mut self, variable: VariableId, start: &[usize], field: &FieldView<'_>, bound: Bound) -> Result<()> {
        enter(&mut self.observer, Phase::Put);
        let begin = Instant::now();
        let taken = self.take(variable, start, field, bound);
        self.put_seconds += begin.elapsed().as_secs_f64();
        taken.map_err(|error| self.refuse(error))
    }

    /// Notes an error of this rank, which all ranks get when the step ends; for a caller that fails before it can put.
    pub fn refuse(&mut self, error: Error) -> Error {
        self.failure.get_or_insert_with(|| error.clone());
        error
    }

    fn take(&mut self, variable: VariableId, start: &[usize], field: &FieldView<'_>, bound: Bound) -> Result<()> {
        if self.step.is_none() {
            return Err(Error::invalid("values are put during a step; begin one first"));
        }
        let info = self.variable_mut(variable)?.clone();
        if field.dtype() != info.dtype {
            return Err(Error::invalid(format!(
                "variable {} has type {}; the values put have {}",
                info.name,
                info.dtype.name(),
                field.dtype().name()
            )));
        }
        let region = Region { start: start.to_vec(), count: field.shape().dims().to_vec() };
        region.check(&info.shape).map_err(|error| error.context(format!("variable {}", info.name)))?;
        // Found here, this is an error of one step; later it would be one of the whole window.
        if let Some(before) = self.pending.iter().find(|put| put.variable == variable.0 && put.bound != bound) {
            return Err(Error::invalid(format!(
                "variable {}: the bound {bound} is not the {} of the window's earlier puts; one bound holds for all ranks and a window",
                info.name, before.bound
            )));
        }
        let now = self.times.len();
        let fill = info.fill_value().or(self.options.codec.fill_value);
        // Goes on with a box of the step before, where the variable's fill value has not changed since.
        let goes_on = |put: &&mut Pending| {
            let same = put.variable == variable.0 && put.bound == bound && put.region == region;
            same && put.first + put.steps == now && put.fill.map(f64::to_bits) == fill.map(f64::to_bits)
        };
        if now > 0
            && let Some(put) = self.pending.iter_mut().find(goes_on)
        {
            put.push(field);
            return Ok(());
        }
        let mut put = Pending::new(variable.0, region, bound, now, field);
        put.fill = fill;
        self.pending.push(put);
        Ok(())
    }

    /// Ends the step; collective. Where the window is full, it is committed: when this returns, its steps are in the
    /// file, and a crash does not lose them.
    ///
    /// # Errors
    /// On all ranks alike, naming the rank and the cause: what `put` said on any rank, ranks that were told different
    /// things, boxes that overlap, values that cannot be compressed, a file that cannot be written.
    pub fn end_step(&mut self) -> Result<StepReport> {
        let span = tracing::info_span!("archive.end_step", rank = self.comm.rank(), step = self.next_step());
        let _entered = span.enter();
        let begin = Instant::now();
        let time = self.step.take();
        if time.is_none() && self.failure.is_none() {
            self.failure = Some(Error::invalid("a step ends that was not begun"));
        }
        if let Err(error) = self.meet(Call::EndStep, time.unwrap_or(0.0)).1 {
            self.drop_step();
            return Err(error);
        }
        self.times.extend(time);
        let mut report = StepReport { wait_seconds: begin.elapsed().as_secs_f64(), ..Default::default() };
        if self.times.len() >= self.options.window {
            report.add(&self.commit_window()?);
        }
        Ok(report)
    }

    /// Commits the steps of a window that is not full yet; collective.
    ///
    /// # Errors
    /// As [`Writer::end_step`]; during a step.
    pub fn flush(&mut self) -> Result<StepReport> {
        if self.step.is_some() && self.failure.is_none() {
            self.failure = Some(Error::invalid("a step is in progress; end it first"));
        }
        if let Err(error) = self.meet(Call::Flush, 0.0).1 {
            self.drop_step();
            return Err(error);
        }
        if self.times.is_empty() { Ok(StepReport::default()) } else { self.commit_window() }
    }

    /// Commits the steps that are not committed yet, and closes the archive; collective. An archive without any step is
    /// removed.
    ///
    /// # Errors
    /// As [`Writer::end_step`]. The archive is closed in any case, and where all ranks close it, steps that ended are
    /// committed.
    pub fn close(mut self) -> Result<StepReport> {
        let mut done = Ok(StepReport::default());
        if self.step.is_some() && self.failure.is_none() {
            self.failure = Some(Error::invalid("the archive is closed during a step, which is dropped"));
        }
        let (same, met) = self.meet(Call::Close, 0.0);
        if met.is_err() {
            self.drop_step();
        }
        if same && !self.times.is_empty() {
            done = self.commit_window();
        }
        done = met.and(done);
        let closed = self.shut();
        let freed = self.comm.free();
        let report = done?;
        closed.and(freed)?;
        Ok(report)
    }

    /// Closes the files, if they are open; collective.
    fn shut(&mut self) -> Result<()> {
        let Some(output) = self.output.take() else { return Ok(()) };
        enter(&mut self.observer, Phase::Close);
        output.close(&*self.comm)
    }

    fn next_step(&self) -> u64 {
        self.committed + self.times.len() as u64
    }

    /// The beginning of a collective call: whether all ranks were told the same, and whether they are well besides.
    fn meet(&mut self, call: Call, time: f64) -> (bool, Result<()>) {
        if self.output.is_none() {
            return (false, Err(Error::invalid("the archive was closed when another rank closed it")));
        }
        let facts = [
            ("the call made (end_step, flush or close)", call as u64),
            ("definitions", self.definitions.digest()),
            ("the number of steps", self.next_step()),
            ("the step's time", time.to_bits()),
        ];
        let Met { same, largest, outcome } = agree_on(&*self.comm, &facts, self.failure.take().as_ref());
        if !same && largest == Call::Close as u64 {
            // A rank that closes comes to no other call: all close with it.
            let _ = self.shut();
        }
        (same, outcome)
    }

    /// Forgets the puts since the last step that ended.
    fn drop_step(&mut self) {
        self.step = None;
        let now = self.times.len();
        self.pending.iter_mut().for_each(|put| put.truncate(now));
        self.pending.retain(|put| put.steps > 0);
    }

    fn commit_window(&mut self) -> Result<StepReport> {
        let mut pending = std::mem::take(&mut self.pending);
        let times = std::mem::take(&mut self.times);
        let begin = Instant::now();
        let mut clock = Clock::default();
        let names: Vec<&str> = self.definitions.variables.iter().map(|variable| variable.name.as_str()).collect();
        let (globals, agreed) = reduce_stats(&*self.comm, &names, &mut pending, &self.options.codec, &mut clock)?;
        let sentinels = pending::found(&pending, &self.options.codec.sentinels);

        enter(&mut self.observer, Phase::Compress);
        let chains = std::mem::take(&mut self.chains);
        let (coded, chains) = self.compress(&pending, &globals, &chains, agreed.err(), &mut clock)?;
        drop(pending);
        let mut report = StepReport {
            steps: times.len() as u64,
            chunks: coded.len() as u64,
            input_bytes: coded.iter().map(|chunk| chunk.input_bytes).sum(),
            stream_bytes: coded.iter().map(|chunk| chunk.bytes.len() as u64).sum(),
            sentinels,
            ..Default::default()
        };
        let observer = &mut self.observer;
        let output = self.output.as_mut().ok_or_else(|| Error::internal("the archive is closed"))?;
        let window = Window { model: self.model.as_deref(), times: &times, coded, globals: &globals };
        report.index_bytes = output.commit(&*self.comm, &self.options, &mut self.definitions, window, observer)?;
        self.committed = output.steps();
        // Only what is committed is followed: after an error all boxes begin anew.
        self.chains = chains;
        report.local_seconds = clock.local + std::mem::take(&mut self.put_seconds);
        report.wait_seconds = clock.wait;
        report.collective_seconds = begin.elapsed().as_secs_f64() - clock.local - clock.wait;
        tracing::info!(
            local = report.local_seconds,
            wait = report.wait_seconds,
            collective = report.collective_seconds,
            "committed"
        );
        Ok(report)
    }

    /// This rank's streams, and what the next window may follow. Where the sum of errors is above a budget, which the
    /// shares should exclude, all ranks try once more with less. `failure`: an error of this rank that the others do
    /// not know of yet.
    fn compress(
        &self,
        pending: &[Pending],
        globals: &[Option<Global>],
        chains: &Chains,
        mut failure: Option<Error>,
        clock: &mut Clock,
    ) -> Result<(Vec<Coded>, Chains)> {
        let comm = &*self.comm;
        let following = Following { chains, first_step: self.committed, keyframe: self.options.keyframe };
        let mut bounds = allocate_bits(comm, &self.codec, globals, pending, &mut failure, clock)?;
        for attempt in 0..2 {
            let coded = clock.work(|| {
                let _span = tracing::info_span!("archive.compress", rank = comm.rank()).entered();
                let one = |(put, &bound): (&Pending, &Bound)| {
                    let range = globals[put.variable].map(|global| global.range).filter(|&range| range > 0.0);
                    let name = &self.definitions.variables[put.variable].name;
                    put.compress(&self.codec, bound, range, &following)
                        .map_err(|error| error.context(format!("variable {name}")))
                };
                match failure.take() {
                    Some(error) => Err(error),
                    None => unpanicked(|| pending.iter().zip(&bounds).map(one).collect::<Result<Vec<_>>>()),
                }
            });
            let mut squared = vec![0.0; globals.len()];
            for (chunk, _) in coded.as_ref().map_or(&[][..], |coded| coded) {
                squared[chunk.variable] += chunk.squared_error;
            }
            clock.wait(comm.rank(), || agree_and_reduce(comm, coded.as_ref().err(), &mut [], &mut squared))?;
            let (coded, links): (Vec<Coded>, Vec<Option<Link>>) = coded?.into_iter().unzip();
            // All ranks have the same sums, to the bit, and so all find the same.
            let budget = |variable: usize| globals[variable].as_ref().and_then(Global::budget);
            let over = |variable: usize| budget(variable).filter(|&budget| squared[variable] > budget);
            if (0..globals.len()).all(|variable| over(variable).is_none()) {
                let next = links
                    .into_iter()
                    .zip(pending)
                    .filter_map(|(link, put)| Some((chain::key(put.variable, &put.region), link?)));
                return Ok((coded, next.collect()));
            }
            if attempt > 0 {
                break;
            }
            for (bound, put) in bounds.iter_mut().zip(pending) {
                if let (Some(budget), Bound::Nrmse(epsilon)) = (over(put.variable), &mut *bound) {
                    *epsilon *= 0.99 * (budget / squared[put.variable]).sqrt();
                }
            }
        }
        Err(Error::internal("the global error bound does not hold after compression"))
    }
}
