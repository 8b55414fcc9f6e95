//! Options of a [`crate::Codec`], and the option string that the C ABI, ADIOS2 and the command line share.

use crate::error::{Error, ErrorKind, Result};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::str::FromStr;

/// How much is tried to make the stream smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// As fast as the classical compressors: no trials, no model.
    Fast,
    /// Ways of prediction and window lengths tried on a sample.
    #[default]
    Normal,
    /// Every way, window length and gain, and the model's larger enhancer: for archives. Where the model pays, a core
    /// takes about a hundred times as long as SPERR both ways, or longer (docs/benchmarks/model.md, Time).
    High,
}

/// Whether the foundation model may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FmMode {
    /// Where it makes the stream smaller; a field on which a graph fails (a GPU without memory, say) is coded without it, and
    /// `tracing` warns.
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

/// Options of a [`crate::Codec`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// A model package's folder, in place of the one compiled in.
    pub model: Option<PathBuf>,
    /// Where graphs run.
    pub device: Device,
    /// Threads; `None`: as many as the process's affinity mask allows.
    pub threads: Option<usize>,
    /// How much is tried.
    pub effort: Effort,
    /// Whether the model may be used.
    pub fm: FmMode,
    /// A value that marks points without data; such points come back bit-exact and disturb no neighbour.
    pub fill_value: Option<f64>,
    /// Which axes of the field are (frames, rows, columns), slowest first; `None`: the last three.
    pub axes: Option<[usize; 3]>,
    /// Frames that are coded together, and from whose first on a part of them is decoded; `None`: 128. Fewer make parts cheaper to
    /// reach and streams longer.
    pub segment: Option<NonZeroU16>,
    /// The range that `rel`, `nrmse` and `psnr` refer to, where it is not the field's own (the global field's, in MPI).
    pub range: Option<f64>,
}

/// Keys of the option string, with the values that each takes.
pub const OPTION_KEYS: [(&str, &str); 9] = [
    ("model", "the path of a model package"),
    ("device", "auto, cpu, cuda or cuda:N"),
    ("threads", "a whole number from 1 to 1024"),
    ("effort", "0, 1 or 2"),
    ("fm", "auto, on or off"),
    ("fill_value", "a number"),
    ("axes", "three axis numbers 'frames,rows,columns', for example 0,1,2"),
    ("segment", "a whole number of frames from 1 to 65535"),
    ("range", "a number greater than 0"),
];

fn bad(key: &str, value: &str) -> Error {
    let allowed = OPTION_KEYS.iter().find(|(k, _)| *k == key).map_or("", |(_, allowed)| allowed);
    Error::invalid(format!("option {key}='{value}' is not valid; expected {allowed}"))
}

impl Options {
    /// Sets the option `key` from text.
    ///
    /// # Errors
    /// `InvalidArgument` that lists the known keys, or what the key takes.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "model" if !value.is_empty() => self.model = Some(PathBuf::from(value)),
            "device" => self.device = value.parse().map_err(|()| bad(key, value))?,
            "threads" => {
                let n = value.parse().ok().filter(|n| (1..=1024).contains(n));
                self.threads = Some(n.ok_or_else(|| bad(key, value))?);
            }
            "effort" => {
                self.effort = match value {
                    "0" => Effort::Fast,
                    "1" => Effort::Normal,
                    "2" => Effort::High,
                    _ => return Err(bad(key, value)),
                }
            }
            "fm" => {
                self.fm = match value {
                    "auto" => FmMode::Auto,
                    "on" => FmMode::On,
                    "off" => FmMode::Off,
                    _ => return Err(bad(key, value)),
                }
            }
            "fill_value" => self.fill_value = Some(value.parse().map_err(|_| bad(key, value))?),
            "axes" => {
                let axes: Vec<usize> = value
                    .split(',')
                    .map(|part| part.trim().parse().map_err(|_| bad(key, value)))
                    .collect::<Result<_>>()?;
                let axes: [usize; 3] = axes.try_into().map_err(|_| bad(key, value))?;
                if axes[0] == axes[1] || axes[0] == axes[2] || axes[1] == axes[2] {
                    return Err(bad(key, value));
                }
                self.axes = Some(axes);
            }
            "segment" => self.segment = Some(value.parse().map_err(|_| bad(key, value))?),
            "range" => {
                let range = value.parse::<f64>().ok().filter(|range| range.is_finite() && *range > 0.0);
                self.range = Some(range.ok_or_else(|| bad(key, value))?);
            }
            "model" => return Err(bad(key, value)),
            _ => {
                let known: Vec<&str> = OPTION_KEYS.iter().map(|(key, _)| *key).collect();
                return Err(Error::invalid(format!(
                    "option '{key}' is not known; expected one of {}",
                    known.join(", ")
                )));
            }
        }
        Ok(())
    }
}

impl FromStr for Device {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(None)),
            _ => {
                let index = text.strip_prefix("cuda:").ok_or(())?;
                index.parse().map(|index| Self::Cuda(Some(index))).map_err(|_| ())
            }
        }
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
