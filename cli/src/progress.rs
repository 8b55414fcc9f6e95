//! Progress on a terminal, and logs on standard error.
//!
//! The codec tells how far it is by tracing events of the target [`TARGET`] with the fields `done` and `total`; a layer
//! here turns them into the bar's position. Where standard error is not a terminal, indicatif draws nothing.

use indicatif::{ProgressBar, ProgressStyle};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, filter};

/// Target of the codec's progress events.
const TARGET: &str = "fieldpress::progress";
const TICK: Duration = Duration::from_millis(100);

static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

fn with_bar(slot: impl FnOnce(&mut Option<ProgressBar>)) {
    slot(&mut BAR.lock().unwrap_or_else(PoisonError::into_inner));
}

/// Logs to standard error as FIELDPRESS_LOG says, and follows the codec's progress.
pub fn start_logging() {
    let filter = EnvFilter::builder().with_env_var("FIELDPRESS_LOG").with_default_directive(Level::WARN.into());
    let logs = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_filter(filter.from_env_lossy());
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
        with_bar(|slot| *slot = Some(bar));
        Self
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        with_bar(|slot| {
            if let Some(bar) = slot.take() {
                bar.finish_and_clear();
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
            let Some(bar) = slot else { return };
            if position.total > 0 && bar.length() != Some(position.total) {
                if let Ok(style) =
                    ProgressStyle::with_template("{msg} [{bar:40}] {percent} % {elapsed} (about {eta} left)")
                {
                    bar.set_style(style.progress_chars("=> "));
                }
                bar.set_length(position.total);
            }
            bar.set_position(position.done);
        });
    }
}
