//! Where fieldpress's time goes: the library's tracing spans, by the processor time spent in each, as flame graphs and
//! tables.

use crate::input::{self, Values};
use crate::peers::{Fieldpress, Method};
use crate::reference::Reference;
use crate::suite::entry;
use anyhow::{Context, Result, ensure};
use cpu_time::ProcessTime;
use fieldpress::DType;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::{Subscriber, span};
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// The NRMSE that is profiled.
const TARGET: f64 = 4e-3;
/// Fields: the climate one that is slowest beside its peers, and a sequence where the model is used.
const FIELDS: [&str; 2] = ["UWND", "turb_w_8"];
const CODECS: [&str; 3] = [Fieldpress::FAST, Fieldpress::NO_MODEL, Fieldpress::NORMAL];
/// Runs of each that are added up.
const REPEATS: usize = 5;

/// Processor time spent in spans, but not in spans inside them, by the path of their names.
#[derive(Default)]
struct Times {
    /// Open spans: the path, and the processor time at the last change.
    stack: Vec<String>,
    since: Option<ProcessTime>,
    own: BTreeMap<String, Duration>,
}

impl Times {
    /// Puts the time since the last change down to the innermost open span.
    fn settle(&mut self) {
        if let (Some(since), Some(path)) = (self.since, self.stack.last()) {
            *self.own.entry(path.clone()).or_default() += since.elapsed();
        }
        self.since = Some(ProcessTime::now());
    }
}

/// Fills [`Times`] from the spans of one thread.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Times>>);

impl Recorder {
    fn with<O>(&self, f: impl FnOnce(&mut Times) -> O) -> O {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorder {
    fn on_enter(&self, id: &span::Id, context: LayerContext<'_, S>) {
        let name = context.span(id).map_or("?", |span| span.metadata().name());
        self.with(|times| {
            times.settle();
            let path = times.stack.last().map_or_else(|| name.to_owned(), |outer| format!("{outer};{name}"));
            times.stack.push(path);
        });
    }

    fn on_exit(&self, _id: &span::Id, _context: LayerContext<'_, S>) {
        self.with(|times| {
            times.settle();
            times.stack.pop();
        });
    }
}

/// What a name's spans took of all, over all their paths that start with `root`.
fn shares(own: &BTreeMap<String, Duration>, root: &str) -> Vec<(String, f64)> {
    let mut names: BTreeMap<&str, f64> = BTreeMap::new();
    for (path, time) in own.iter().filter(|(path, _)| path.split(';').next() == Some(root)) {
        *names.entry(path.rsplit(';').next().unwrap_or(path)).or_default() += time.as_secs_f64();
    }
    let total: f64 = names.values().sum();
    let mut shares: Vec<_> = names.into_iter().map(|(name, time)| (name.to_owned(), time / total)).collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    shares
}

fn flame_graph(path: &Path, title: &str, own: &BTreeMap<String, Duration>) -> Result<()> {
    let lines: Vec<String> = own.iter().map(|(path, time)| format!("{path} {}", time.as_micros())).collect();
    let mut options = inferno::flamegraph::Options::default();
    options.title = title.to_owned();
    options.count_name = "µs".to_owned();
    // A picture whose colours change from run to run would be new every time.
    options.deterministic = true;
    let mut svg = Vec::new();
    inferno::flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), &mut svg)
        .with_context(|| format!("cannot draw {}", path.display()))?;
    std::fs::write(path, svg).with_context(|| format!("cannot write {}", path.display()))
}

/// Profiles and writes `<out>/profile.md` and `<out>/profile/<field>-<codec>.svg`.
pub fn run(data: &Path, out: &Path) -> Result<()> {
    let pictures = out.join("profile");
    std::fs::create_dir_all(&pictures).with_context(|| format!("cannot make {}", pictures.display()))?;
    let mut text = format!(
        "# Where the time goes\n\nProcessor time in the library's tracing spans, spans inside them not counted, at NRMSE \
         {TARGET:e}, one thread, {REPEATS} runs added up.\nFlame graphs beside the tables; written by \
         `fieldpress-compare profile`.\n"
    );
    for name in FIELDS {
        let entry = entry(data, name)?;
        let source = entry.path.to_string_lossy();
        let input = input::read(&source, Some(&entry.dims), Some(DType::F32))?;
        let Values::F32(values) = &input.values else { unreachable!("asked for f32") };
        let field = Reference::new(input.name.clone(), input.dims.clone(), values, entry.fill);
        for codec in CODECS {
            let own = profile(&field, codec)?;
            let picture = format!("{name}-{codec}.svg");
            flame_graph(&pictures.join(&picture), &format!("{codec} on {name}"), &own)?;
            write!(text, "\n## `{codec}` on `{name}`\n\n[Flame graph](profile/{picture})\n\n")?;
            text += "| compress | share | decompress | share |\n| --- | --- | --- | --- |\n";
            let columns = ["compress", "decompress"].map(|root| shares(&own, root));
            for row in 0..columns[0].len().max(columns[1].len()) {
                let cells = columns.each_ref().map(|column| match column.get(row) {
                    Some((name, share)) if *share >= 0.005 => format!("{name} | {:.0} %", 100.0 * share),
                    _ => " | ".to_owned(),
                });
                if cells.iter().any(|cell| cell != " | ") {
                    writeln!(text, "| {} | {} |", cells[0], cells[1])?;
                }
            }
        }
    }
    std::fs::write(out.join("profile.md"), &text)?;
    print!("{text}");
    Ok(())
}

/// The times of compressing and decompressing a field.
fn profile(field: &Reference<'_, f32>, codec: &str) -> Result<BTreeMap<String, Duration>> {
    let method = Fieldpress::named(codec, None).context("a codec of fieldpress")?;
    let mut decoded = vec![0f32; field.values.len()];
    let mut round = || -> Result<()> {
        let stream = method.compress(field, field.values, TARGET)?;
        method.decompress(field, &stream, &mut decoded)
    };
    // Loads the model.
    round()?;
    let recorder = Recorder::default();
    let subscriber = tracing_subscriber::registry().with(recorder.clone());
    tracing::subscriber::with_default(subscriber, || (0..REPEATS).try_for_each(|_| round()))?;
    let own = recorder.with(|times| std::mem::take(&mut times.own));
    ensure!(own.len() > 2, "the library was built without its tracing spans");
    Ok(own)
}
