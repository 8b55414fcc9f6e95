//! Arguments that several commands have, and the library's options among them, checked by it.

use crate::source::Expected;
use clap::Args;
use fieldpress::{DType, Options, Region};
use std::str::FromStr;

/// What raw input does not say of itself.
#[derive(Debug, Args)]
pub struct RawInput {
    /// Sizes of the field, slowest first, for example 96,192,288 or 96x192x288; for raw input
    #[arg(long, value_name = "N,N,...", value_parser = Sizes::from_str)]
    pub dims: Option<Sizes>,
    /// Type of the values, f32 or f64; for raw input
    #[arg(long = "type", value_name = "TYPE", value_parser = DType::from_str)]
    pub dtype: Option<DType>,
}

impl RawInput {
    pub fn expected(&self) -> Expected<'_> {
        Expected { dims: self.dims.as_ref().map(|dims| dims.0.as_slice()), dtype: self.dtype }
    }
}

/// How hard compressing tries.
#[derive(Debug, Args)]
pub struct Trying {
    /// How much is tried: 0 is fast, 2 is smallest and very slow
    #[arg(long, value_name = "0|1|2", default_value = "1", value_parser = option("effort"))]
    pub effort: Setting,
    /// Use of the foundation model: where it helps, always, never
    #[arg(long, value_name = "auto|on|off", default_value = "auto", value_parser = option("fm"))]
    pub fm: Setting,
}

/// A box of a field.
#[derive(Debug, Args)]
pub struct Part {
    /// First index of a box along each dimension
    #[arg(long, value_name = "N,N,...", requires = "count", value_parser = Sizes::from_str)]
    pub start: Option<Sizes>,
    /// Number of indices of the box along each dimension
    #[arg(long, value_name = "N,N,...", requires = "start", value_parser = Sizes::from_str)]
    pub count: Option<Sizes>,
}

impl Part {
    pub fn region(&self) -> Option<Region> {
        let (start, count) = (self.start.as_ref()?, self.count.as_ref()?);
        Some(Region { start: start.0.clone(), count: count.0.clone() })
    }
}

/// Steps of an archive.
#[derive(Debug, Args)]
pub struct Steps {
    /// One step, counted from 0
    #[arg(long, value_name = "K", conflicts_with = "steps")]
    pub step: Option<u64>,
    /// Steps from A to before B [default: all]
    #[arg(long, value_name = "A..B", value_parser = step_range)]
    pub steps: Option<(u64, u64)>,
}

fn step_range(text: &str) -> Result<(u64, u64), String> {
    let bad = || format!("'{text}' is not of the form A..B");
    let (a, b) = text.split_once("..").ok_or_else(bad)?;
    Ok((a.parse().map_err(|_| bad())?, b.parse().map_err(|_| bad())?))
}

/// Where and with what the model runs.
#[derive(Debug, Args)]
pub struct Running {
    /// Where the model runs
    #[arg(long, value_name = "auto|cpu|cuda:0", default_value = "auto", value_parser = option("device"))]
    pub device: Setting,
    /// Threads [default: as many as this process may use]
    #[arg(long, value_name = "N", value_parser = option("threads"))]
    pub threads: Option<Setting>,
    /// Model package, in place of the one compiled in
    #[arg(long, value_name = "PATH", value_parser = option("model"))]
    pub model: Option<Setting>,
    /// Run the model that an archive carries, although it is not installed here: a model is a program
    #[arg(long)]
    pub trust_model: bool,
}

/// One of the library's options, already checked by it.
#[derive(Clone, Debug)]
pub struct Setting {
    key: &'static str,
    value: String,
}

pub fn option(key: &'static str) -> impl Fn(&str) -> fieldpress::Result<Setting> + Clone {
    move |value| {
        Options::default().set(key, value)?;
        Ok(Setting { key, value: value.to_owned() })
    }
}

/// The library's options from those settings that were given.
pub fn options<'a>(settings: impl IntoIterator<Item = Option<&'a Setting>>) -> fieldpress::Result<Options> {
    let mut options = Options::default();
    for setting in settings.into_iter().flatten() {
        options.set(setting.key, &setting.value)?;
    }
    Ok(options)
}

impl Setting {
    /// As an option string has it: `key=value`.
    pub fn text(&self) -> String {
        format!("{}={}", self.key, self.value)
    }
}

impl Running {
    pub fn settings(&self) -> [Option<&Setting>; 3] {
        [Some(&self.device), self.threads.as_ref(), self.model.as_ref()]
    }

    /// Those that are given, as an option string has them.
    pub fn texts(&self) -> Vec<String> {
        self.settings().into_iter().flatten().map(Setting::text).collect()
    }

    pub fn options(&self) -> fieldpress::Result<Options> {
        Ok(options(self.settings())?.with_trust_embedded_model(self.trust_model))
    }
}

/// Whole numbers separated by commas, or by `x` as reports print them.
#[derive(Clone, Debug)]
pub struct Sizes(pub Vec<usize>);

impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size = |part: &str| part.trim().parse().map_err(|_| format!("'{part}' is not a whole number"));
        text.split([',', 'x']).map(size).collect::<Result<_, _>>().map(Self)
    }
}
