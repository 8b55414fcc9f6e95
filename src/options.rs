//! Options of a [`crate::Codec`], and the option string that the C ABI, ADIOS2 and the command line share.
//!
//! In: fields, `with_…` calls, or text. Out: values that need no further check. Each type reads and writes its own text
//! ([`FromStr`] and [`Display`](fmt::Display) agree), and says in a sentence what it does not take.

use crate::error::{Error, ErrorKind, Result};
use crate::field::Axes;
use std::fmt;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::str::FromStr;

/// How much is tried to make the stream smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// `0`: as fast as the classical compressors: no trials, no model.
    Fast,
    /// `1`: prediction modes and window lengths tried on a sample.
    #[default]
    Normal,
    /// `2`: every mode, window length and gain, and the model's larger enhancer: for archives. Where the model pays, a
    /// core takes about a hundred times as long as SPERR both ways, or longer (docs/benchmarks/model.md, Time).
    High,
}

impl FromStr for Effort {
    type Err = Error;

    /// `0`, `1` or `2`.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "0" => Ok(Self::Fast),
            "1" => Ok(Self::Normal),
            "2" => Ok(Self::High),
            _ => Err(not_valid("effort", text)),
        }
    }
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fast => "0",
            Self::Normal => "1",
            Self::High => "2",
        })
    }
}

/// Whether the foundation model may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FmMode {
    /// Where it makes the stream smaller; a field on which a graph fails (a GPU without memory, say) is coded without
    /// it, and `tracing` warns.
    #[default]
    Auto,
    /// Always (for measuring); an error where no model can run.
    On,
    /// Never.
    Off,
}

impl FmMode {
    /// Whether what gave this error is done without the model: what the model saves is worth less than a checkpoint.
    pub(crate) fn goes_without(self, error: &Error) -> bool {
        self == Self::Auto && error.kind() == ErrorKind::Runtime
    }
}

impl FromStr for FmMode {
    type Err = Error;

    /// `auto`, `on` or `off`.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err(not_valid("fm", text)),
        }
    }
}

impl fmt::Display for FmMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        })
    }
}

/// Whether values that mark points without data are found without being named: those that lie far outside of all
/// others, as 1e20 and −9999 do. They are treated as the fill value is; a bound then is tighter, at worst.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Sentinels {
    /// Found; [`crate::Report::sentinels`] has them.
    #[default]
    Auto,
    /// Not looked for: all that is finite and not the fill value is data.
    Off,
    /// These mark points without data, beside the fill value, and no others are looked for.
    Given(Vec<f64>),
}

/// The most values that an option names as sentinels: a mask has room for more.
pub(crate) const MOST_GIVEN: usize = 8;

impl FromStr for Sentinels {
    type Err = Error;

    /// `auto`, `off`, or one to eight finite numbers with commas between them.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => return Ok(Self::Auto),
            "off" => return Ok(Self::Off),
            _ => {}
        }
        let number = |part: &str| part.trim().parse::<f64>().ok().filter(|value| value.is_finite());
        let values: Option<Vec<f64>> = text.split(',').map(number).collect();
        values.filter(|values| values.len() <= MOST_GIVEN).map(Self::Given).ok_or_else(|| not_valid("sentinels", text))
    }
}

impl fmt::Display for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Given(values) if !values.is_empty() => {
                let values: Vec<String> = values.iter().map(f64::to_string).collect();
                f.write_str(&values.join(","))
            }
            Self::Off | Self::Given(_) => f.write_str("off"),
        }
    }
}

/// Where graphs run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// CUDA where it initialises, the CPU otherwise.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// CUDA, on this device (none: the local MPI rank picks one); an error where it cannot be had.
    Cuda(Option<u32>),
}

impl FromStr for Device {
    type Err = Error;

    /// `auto`, `cpu`, `cuda` or `cuda:N`.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(None)),
            _ => {
                let index = text.strip_prefix("cuda:").and_then(|index| index.parse().ok());
                index.map(|index| Self::Cuda(Some(index))).ok_or_else(|| not_valid("device", text))
            }
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(None) => f.write_str("cuda"),
            Self::Cuda(Some(index)) => write!(f, "cuda:{index}"),
        }
    }
}

/// Options of a [`crate::Codec`]. Start from the defaults and change what differs; further options may come, and code
/// that uses these keeps compiling:
///
/// ```
/// use fieldpress::{Effort, Options};
///
/// let options = Options::default().with_effort(Effort::High).with_threads(4);
/// assert_eq!(options, "effort=2;threads=4".parse()?); // the option string of C, ADIOS2 and the command line
/// # Ok::<(), fieldpress::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// A model package's folder, in place of the one compiled in.
    pub model: Option<PathBuf>,
    /// Where graphs run.
    pub device: Device,
    /// Threads, of which no more work than the process's affinity mask allows; `None`: this rank's share of that.
    pub threads: Option<usize>,
    /// How much is tried.
    pub effort: Effort,
    /// Whether the model may be used.
    pub fm: FmMode,
    /// A value that marks points without data; such points come back bit-exact and disturb no neighbour.
    pub fill_value: Option<f64>,
    /// Whether other values of that kind are found, or which they are.
    pub sentinels: Sentinels,
    /// Which axes of the field are frames, planes, rows and columns; `None`: tried on a sample where there is a choice,
    /// the last three under `block_l2`.
    pub axes: Option<Axes>,
    /// Frames that are coded together, and from whose first on a part of them is decoded; `None`: 128. Fewer make parts
    /// cheaper to reach and streams longer.
    pub segment: Option<NonZeroU16>,
    /// The range that `rel`, `nrmse` and `psnr` refer to, where it is not the field's own (the global field's, in MPI).
    pub range: Option<f64>,
    /// Whether a model that an archive carries may run although it is not installed here. A model is a program: set it
    /// where whoever wrote the archive is trusted.
    pub trust_embedded_model: bool,
}

/// Keys of the option string, with the values that each takes.
pub const OPTION_KEYS: [(&str, &str); 11] = [
    ("model", "the path of a model package"),
    ("device", "auto, cpu, cuda or cuda:N"),
    ("threads", "a whole number from 1 to 1024"),
    ("effort", "0, 1 or 2"),
    ("fm", "auto, on or off"),
    ("fill_value", "a number"),
    ("sentinels", "auto, off, or one to eight numbers, for example -9999,1e20"),
    ("axes", "three or four axis numbers 'frames,rows,columns' or 'frames,planes,rows,columns', for example 0,1,2"),
    ("segment", "a whole number of frames from 1 to 65535"),
    ("range", "a number greater than 0"),
    ("trust_embedded_model", "0 or 1, off or on"),
];

/// The error for a value that the option `key` does not take.
fn not_valid(key: &str, value: &str) -> Error {
    let allowed = OPTION_KEYS.iter().find(|(k, _)| *k == key).map_or("", |(_, allowed)| allowed);
    Error::invalid(format!("{key}='{value}' is not valid; expected {allowed}"))
}

impl Options {
    /// With a model package's folder, in place of the one compiled in.
    #[must_use]
    pub fn with_model(mut self, folder: impl Into<PathBuf>) -> Self {
        self.model = Some(folder.into());
        self
    }

    /// With the device where graphs run.
    #[must_use]
    pub fn with_device(mut self, device: Device) -> Self {
        self.device = device;
        self
    }

    /// With so many threads.
    #[must_use]
    pub fn with_threads(mut self, threads: impl Into<Option<usize>>) -> Self {
        self.threads = threads.into();
        self
    }

    /// With this effort.
    #[must_use]
    pub fn with_effort(mut self, effort: Effort) -> Self {
        self.effort = effort;
        self
    }

    /// With or without the model.
    #[must_use]
    pub fn with_fm(mut self, fm: FmMode) -> Self {
        self.fm = fm;
        self
    }

    /// With a value that marks points without data.
    #[must_use]
    pub fn with_fill_value(mut self, value: impl Into<Option<f64>>) -> Self {
        self.fill_value = value.into();
        self
    }

    /// With sentinels found, given, or neither.
    #[must_use]
    pub fn with_sentinels(mut self, sentinels: Sentinels) -> Self {
        self.sentinels = sentinels;
        self
    }

    /// With these axes as frames, rows and columns, or as frames, planes, rows and columns.
    #[must_use]
    pub fn with_axes(mut self, axes: impl Into<Axes>) -> Self {
        self.axes = Some(axes.into());
        self
    }

    /// With so many frames coded together.
    #[must_use]
    pub fn with_segment(mut self, frames: impl Into<Option<NonZeroU16>>) -> Self {
        self.segment = frames.into();
        self
    }

    /// With the range that `rel`, `nrmse` and `psnr` refer to.
    #[must_use]
    pub fn with_range(mut self, range: impl Into<Option<f64>>) -> Self {
        self.range = range.into();
        self
    }

    /// With models that archives carry, or without.
    #[must_use]
    pub fn with_trust_embedded_model(mut self, trust: bool) -> Self {
        self.trust_embedded_model = trust;
        self
    }

    /// Sets the option `key` from text.
    ///
    /// # Errors
    /// `InvalidArgument` that lists the known keys, or what the key takes.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let option = |error: Error| Error::invalid(format!("option {}", error.message()));
        let bad = || option(not_valid(key, value));
        match key {
            "model" if !value.is_empty() => self.model = Some(PathBuf::from(value)),
            "model" => return Err(bad()),
            "device" => self.device = value.parse().map_err(option)?,
            "threads" => {
                let threads = value.parse().ok().filter(|n| (1..=1024).contains(n));
                self.threads = Some(threads.ok_or_else(bad)?);
            }
            "effort" => self.effort = value.parse().map_err(option)?,
            "fm" => self.fm = value.parse().map_err(option)?,
            "fill_value" => self.fill_value = Some(value.parse().map_err(|_| bad())?),
            "sentinels" => self.sentinels = value.parse().map_err(option)?,
            "axes" => self.axes = Some(value.parse().map_err(|_| bad())?),
            "segment" => self.segment = Some(value.parse().map_err(|_| bad())?),
            "range" => {
                let range = value.parse::<f64>().ok().filter(|range| range.is_finite() && *range > 0.0);
                self.range = Some(range.ok_or_else(bad)?);
            }
            "trust_embedded_model" => {
                self.trust_embedded_model = match value {
                    "0" | "off" => false,
                    "1" | "on" => true,
                    _ => return Err(bad()),
                };
            }
            _ => {
                let known = OPTION_KEYS.map(|(key, _)| key).join(", ");
                return Err(Error::invalid(format!("option '{key}' is not known; expected one of {known}")));
            }
        }
        Ok(())
    }
}

/// Calls `set` with every key and value of an option string, `"key=value;key=value"`.
///
/// # Errors
/// `InvalidArgument` for a part of another form, and what `set` says.
pub(crate) fn for_each_pair(text: &str, mut set: impl FnMut(&str, &str) -> Result<()>) -> Result<()> {
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (key, value) = part
            .split_once('=')
            .ok_or_else(|| Error::invalid(format!("option '{part}' is not of the form key=value")))?;
        set(key.trim(), value.trim())?;
    }
    Ok(())
}

impl FromStr for Options {
    type Err = Error;

    /// `"model=…;device=auto;threads=1;effort=1"`; an empty string gives the defaults.
    fn from_str(text: &str) -> Result<Self> {
        let mut options = Self::default();
        for_each_pair(text, |key, value| options.set(key, value))?;
        Ok(options)
    }
}
