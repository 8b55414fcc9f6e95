//! Progress on a terminal, and logs on standard error.
//!
//! The codec tells how far it is by tracing events of the target [`TARGET`] with the fields `done` and `total`; a layer
//! here turns them into the bar's position. Where standard error is not a terminal, indicatif draws nothing.

use indicatif::{ProgressBar, ProgressStyle};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Target of the codec's progress events.
const TARGET: &str = "fieldpress::progress";
const TICK: Duration = Duration::from_millis(100);

/// The bar on the terminal, and what moves it.
struct Shown {
    bar: ProgressBar,
    by: By,
}

/// What moves a bar.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// The codec's events.
    Codec,
    /// [`Progress::advance`]: a file's work is many calls of the codec.
    Caller,
}

static BAR: Mutex<Option<Shown>> = Mutex::new(None);

fn with_bar(slot: impl FnOnce(&mut Option<Shown>)) {
    slot(&mut BAR.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Logs to standard error as FIELDPRESS_LOG says (levels, by targets, as in `warn,fieldpress=debug`), and follows the
/// codec's progress.
pub fn start_logging() {
    let usual = || filter::Targets::new().with_default(Level::WARN);
    let said = std::env::var("FIELDPRESS_LOG").ok().filter(|said| !said.is_empty());
    let filter = said.map_or_else(usual, |said| {
        said.parse().unwrap_or_else(|error| {
            eprintln!("fieldpress: FIELDPRESS_LOG='{said}' is not understood ({error}); expected for example debug");
            usual()
        })
    });
    let logs = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_filter(filter);
    let progress = BarLayer.with_filter(filter::Targets::new().with_target(TARGET, Level::TRACE));
    tracing_subscriber::registry().with(logs).with(progress).init();
}

/// A bar that lives as long as this value.
pub struct Progress;

impl Progress {
    /// Shows `what` is being done: a spinner until the codec says how much there is to do.
    pub fn start(what: &str) -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(TICK);
        with_bar(|slot| *slot = Some(Shown { bar, by: By::Codec }));
        Self
    }

    /// Shows how much of `total` is done, as [`Progress::advance`] says.
    pub fn over(what: &str, total: u64) -> Self {
        let bar = ProgressBar::new(total.max(1));
        bar.set_style(share_done());
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(TICK);
        with_bar(|slot| *slot = Some(Shown { bar, by: By::Caller }));
        Self
    }

    /// Moves the bar.
    pub fn advance(&self, by: u64) {
        with_bar(|slot| {
            if let Some(shown) = slot {
                shown.bar.inc(by);
            }
        });
    }
}

fn share_done() -> ProgressStyle {
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {percent} % {elapsed} (about {eta} left)");
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

impl Drop for Progress {
    fn drop(&mut self) {
        with_bar(|slot| {
            if let Some(shown) = slot.take() {
                shown.bar.finish_and_clear();
            }
        });
    }
}

#[derive(Default)]
struct Position {
    done: u64,
    total: u64,
}

impl Visit for Position {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "done" => self.done = value,
            "total" => self.total = value,
            _ => {}
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn std::fmt::Debug) {}
}

struct BarLayer;

impl<S: Subscriber> Layer<S> for BarLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut position = Position::default();
        event.record(&mut position);
        with_bar(|slot| {
            let Some(Shown { bar, by: By::Codec }) = slot else { return };
            if position.total > 0 && bar.length() != Some(position.total) {
                bar.set_style(share_done());
                bar.set_length(position.total);
            }
            bar.set_position(position.done);
        });
    }
}
