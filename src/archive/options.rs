//! Options of a [`Writer`](super::Writer), and their text form, which the C ABI takes.

use crate::error::{Error, Result};
use crate::options::{Options, for_each_pair};
use std::str::FromStr;

/// The treatment of an archive that exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// An error; nothing is ever overwritten.
    #[default]
    Create,
    /// The old archive is replaced when the first step of the new one is committed, not before.
    Replace,
    /// Steps are added behind those committed; an uncommitted tail is dropped. Where there is no archive, one is
    /// created.
    Append,
}

/// How the ranks' data goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Write {
    /// The ranks of a node send theirs to one of them, which writes it in one piece. A write that fails is an error on
    /// all ranks, whichever MPI this is.
    #[default]
    Gathered,
    /// By MPI's own collective buffering (`MPI_File_write_at_all`), which heeds the hints. **Open MPI 4.1 waits for
    /// ever where such a write fails**, unless told `--mca fcoll two_phase` or `--mca io romio321`.
    Collective,
}

/// Options of a [`Writer`](super::Writer). All ranks give the same.
#[derive(Clone, Debug, PartialEq)]
pub struct WriterOptions {
    /// Options of each rank's codec. `range` and `axes` are set by the archive where they are not given.
    pub codec: Options,
    /// The treatment of an archive that exists.
    pub mode: Mode,
    /// With [`Mode::Append`]: keep only so many steps of the archive, for a restart from an earlier one. Must lie
    /// between two commits.
    pub keep: Option<u64>,
    /// Steps that are kept in memory and coded together, at least 1. **A crash loses those that are not committed yet:
    /// up to one less than this, and the step in progress.**
    pub window: usize,
    /// Windows from one that needs none before it to the next, at least 1: a step is reached by reading at most so
    /// many.
    pub keyframe: usize,
    /// Ranks that share a data file; 0: all of them write the archive itself. For very large jobs: the archive then
    /// holds the index alone, and data lies in files beside it.
    pub ranks_per_file: usize,
    /// Whether the model package is put into the archive.
    pub embed_model: bool,
    /// Whether a commit waits until data is on stable storage. Without, a crash of the machine may lose committed
    /// steps; a crash of the job does not.
    pub sync: bool,
    /// Whether a lock keeps other writers away. Without, as on file systems that have no locks, a second writer is
    /// found out at its first commit, or the first one's next.
    pub lock: bool,
    /// How data goes out.
    pub write: Write,
    /// Hints for MPI-IO, such as `cb_nodes` or `striping_factor`.
    pub hints: Vec<(String, String)>,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            codec: Options::default(),
            mode: Mode::default(),
            keep: None,
            window: 1,
            keyframe: 8,
            ranks_per_file: 0,
            embed_model: false,
            sync: true,
            lock: true,
            write: Write::default(),
            hints: Vec::new(),
        }
    }
}

/// Keys that an archive's options have beside those of [`crate::OPTION_KEYS`], with the values that each takes.
pub const ARCHIVE_OPTION_KEYS: [(&str, &str); 10] = [
    ("mode", "create, replace or append"),
    ("keep", "a number of steps"),
    ("window", "a whole number from 1 to 4096"),
    ("keyframe", "a whole number from 1 to 4096"),
    ("ranks_per_file", "a whole number; 0 for one file"),
    ("embed_model", "on or off"),
    ("sync", "on or off"),
    ("lock", "on or off"),
    ("write", "gathered or collective"),
    ("hints", "pairs key:value separated by commas, for example cb_nodes:4,striping_factor:8"),
];

impl WriterOptions {
    /// Sets the option `key` from text.
    ///
    /// # Errors
    /// `InvalidArgument` that lists the known keys, or what the key takes.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let bad = || {
            let allowed = ARCHIVE_OPTION_KEYS.iter().find(|(k, _)| *k == key).map_or("", |(_, allowed)| allowed);
            Error::invalid(format!("option {key}='{value}' is not valid; expected {allowed}"))
        };
        let count = || value.parse().ok().filter(|n| (1..=4096).contains(n)).ok_or_else(bad);
        let switch = || match value {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(bad()),
        };
        match key {
            "mode" => {
                self.mode = match value {
                    "create" => Mode::Create,
                    "replace" => Mode::Replace,
                    "append" => Mode::Append,
                    _ => return Err(bad()),
                }
            }
            "keep" => self.keep = Some(value.parse().map_err(|_| bad())?),
            "window" => self.window = count()?,
            "keyframe" => self.keyframe = count()?,
            "ranks_per_file" => self.ranks_per_file = value.parse().map_err(|_| bad())?,
            "embed_model" => self.embed_model = switch()?,
            "sync" => self.sync = switch()?,
            "lock" => self.lock = switch()?,
            "write" => {
                self.write = match value {
                    "gathered" => Write::Gathered,
                    "collective" => Write::Collective,
                    _ => return Err(bad()),
                }
            }
            "hints" => {
                self.hints.clear();
                for pair in value.split(',').filter(|pair| !pair.is_empty()) {
                    let (key, value) = pair.split_once(':').ok_or_else(bad)?;
                    self.hints.push((key.trim().to_owned(), value.trim().to_owned()));
                }
            }
            _ => self.codec.set(key, value).map_err(|error| {
                let known: Vec<&str> = ARCHIVE_OPTION_KEYS.iter().map(|(key, _)| *key).collect();
                match error.message().contains("is not known") {
                    true => Error::invalid(format!("{}; for an archive also {}", error.message(), known.join(", "))),
                    false => error,
                }
            })?,
        }
        Ok(())
    }
}

impl FromStr for WriterOptions {
    type Err = Error;

    /// `"mode=append;window=8;effort=1"`; an empty string gives the defaults.
    fn from_str(text: &str) -> Result<Self> {
        let mut options = Self::default();
        for_each_pair(text, |key, value| options.set(key, value))?;
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_every_option() {
        let text = "mode=append;keep=12;window=8;keyframe=4;ranks_per_file=64;embed_model=on;sync=off;lock=off;\
                    hints=cb_nodes:4,striping_unit:1048576;effort=0;threads=2";
        let options: WriterOptions = text.parse().unwrap();
        assert_eq!((options.mode, options.keep, options.window, options.keyframe), (Mode::Append, Some(12), 8, 4));
        assert_eq!((options.ranks_per_file, options.embed_model, options.sync, options.lock), (64, true, false, false));
        assert_eq!(options.hints[1], ("striping_unit".to_owned(), "1048576".to_owned()));
        assert_eq!(options.codec.threads, Some(2));
        assert_eq!("".parse::<WriterOptions>().unwrap(), WriterOptions::default());
    }

    #[test]
    fn mistakes_say_what_is_allowed() {
        for (text, part) in [
            ("window=0", "from 1 to 4096"),
            ("mode=overwrite", "create, replace or append"),
            ("hints=x", "key:value"),
            ("nonsense=1", "ranks_per_file"),
            ("effort=7", "0, 1 or 2"),
        ] {
            let message = text.parse::<WriterOptions>().unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
