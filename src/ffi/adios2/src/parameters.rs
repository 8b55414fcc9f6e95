//! The operator's parameters: the options of a codec under their own names, `mode` and `accuracy` for the bound, and
//! `order` for the order of dimensions.

use crate::bridge::Accuracy;
use fieldpress::ffi::ForkLock;
use fieldpress::{Bound, Codec, Error, OPTION_KEYS, Options, Result};
use std::collections::VecDeque;
use std::sync::Arc;

/// ADIOS2's own parameters, which reach the plugin beside those that are meant for it.
const HOST_KEYS: [&str; 3] = ["pluginname", "pluginlibrary", "verbose"];

/// Parameters that have been understood.
pub(crate) struct Setting {
    pub(crate) codec: Arc<Codec>,
    pub(crate) bound: Bound,
    /// Whether a block's first dimension varies fastest, as in Fortran. ADIOS2 does not tell its operators.
    pub(crate) column_major: bool,
}

impl Setting {
    /// Reads `pairs` of key and value; keys and the mode in upper or lower case.
    ///
    /// # Errors
    /// `InvalidArgument` that says what is allowed.
    pub(crate) fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>, requested: &Accuracy) -> Result<Self> {
        let Given { options, mode, accuracy, column_major } = Given::read(pairs)?;
        let bound = bound(mode.as_deref(), accuracy, requested)?;
        Ok(Self { codec: codec(&options)?, bound, column_major })
    }
}

/// Checks `pairs` one by one: those that are missing may come later.
///
/// # Errors
/// As [`Setting::new`].
pub(crate) fn check<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<()> {
    let given = Given::read(pairs)?;
    let mode = given.mode.as_deref();
    if mode.is_some() || given.accuracy.is_some() {
        // Any accuracy stands in for one that may come.
        let none = Accuracy { error: 0.0, norm: 0.0, relative: false };
        bound(mode, given.accuracy.or(Some(1e-3)), &none)?;
    }
    Ok(())
}

/// Parameters one by one.
#[derive(Default)]
struct Given {
    options: Options,
    mode: Option<String>,
    accuracy: Option<f64>,
    column_major: bool,
}

impl Given {
    fn read<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut given = Self::default();
        for (key, value) in pairs {
            let (key, value) = (key.to_ascii_lowercase(), value.trim());
            match key.as_str() {
                key if HOST_KEYS.contains(&key) => {}
                "mode" => given.mode = Some(value.to_ascii_lowercase()),
                "accuracy" => {
                    let number = value.parse().map_err(|_| {
                        Error::invalid(format!("parameter accuracy='{value}' is not valid; expected a number"))
                    })?;
                    given.accuracy = Some(number);
                }
                "order" => {
                    given.column_major = match value.to_ascii_lowercase().as_str() {
                        "c" => false,
                        "fortran" => true,
                        _ => {
                            return Err(Error::invalid(format!(
                                "parameter order='{value}' is not valid; expected C or Fortran"
                            )));
                        }
                    }
                }
                key if OPTION_KEYS.iter().any(|(known, _)| *known == key) => {
                    given.options.set(key, value).map_err(|error| error.context("parameter"))?;
                }
                _ => return Err(unknown(&key)),
            }
        }
        Ok(given)
    }
}

fn unknown(key: &str) -> Error {
    let known: Vec<&str> =
        ["accuracy", "mode", "order"].into_iter().chain(OPTION_KEYS.iter().map(|(key, _)| *key)).collect();
    Error::invalid(format!("parameter '{key}' is not known; expected one of {}", known.join(", ")))
}

fn bound(mode: Option<&str>, accuracy: Option<f64>, requested: &Accuracy) -> Result<Bound> {
    if mode == Some("lossless") {
        return Ok(Bound::Lossless);
    }
    let wanted = mode.unwrap_or("abs");
    if !Bound::NAMES.contains(&wanted) {
        let names = Bound::NAMES.join("|").to_ascii_uppercase();
        return Err(Error::invalid(format!("parameter mode='{wanted}' is not valid; expected {names}")));
    }
    if let Some(accuracy) = accuracy {
        return Bound::from_parts(wanted, accuracy).map_err(|error| error.context("parameters mode and accuracy"));
    }
    if mode.is_none() && requested.error > 0.0 {
        return match (requested.norm, requested.relative) {
            (norm, relative) if norm == f64::INFINITY => {
                Bound::from_parts(if relative { "rel" } else { "abs" }, requested.error)
            }
            (0.0, true) => Bound::from_parts("nrmse", requested.error),
            _ => Err(Error::invalid(
                "the requested accuracy is in a norm that cannot be bounded; expected the maximum norm, or the L2 norm \
                 relative to the range; or set the parameters mode and accuracy",
            )),
        };
    }
    Err(Error::invalid(format!(
        "parameter accuracy is missing: mode {} needs the bound's value; only mode LOSSLESS does without",
        wanted.to_ascii_uppercase()
    )))
}

/// Codecs that are kept: those of variables that are written in turn. Where the range changes with each step, so does
/// the codec.
const CODECS_KEPT: usize = 64;

/// The process's codec of these options. Variables share them, so that readers, which may make an operator for every
/// block, do not make a codec for each.
pub(crate) fn codec(options: &Options) -> Result<Arc<Codec>> {
    static CODECS: ForkLock<VecDeque<Arc<Codec>>> = ForkLock::new(VecDeque::new());
    // A fill value may be NaN, which equals nothing.
    let known = |codec: &&Arc<Codec>| {
        let (a, b) = (codec.options(), options);
        a.fill_value.map(f64::to_bits) == b.fill_value.map(f64::to_bits)
            && a.clone().with_fill_value(None) == b.clone().with_fill_value(None)
    };
    let mut codecs = CODECS.lock()?;
    if let Some(codec) = codecs.iter().find(known) {
        return Ok(codec.clone());
    }
    let codec = Arc::new(Codec::new(options.clone())?);
    if codecs.len() == CODECS_KEPT {
        codecs.pop_front();
    }
    codecs.push_back(codec.clone());
    Ok(codec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fieldpress::Effort;

    const NONE: Accuracy = Accuracy { error: 0.0, norm: 0.0, relative: false };

    fn setting(pairs: &[(&str, &str)]) -> Result<Setting> {
        Setting::new(pairs.iter().copied(), &NONE)
    }

    #[test]
    fn modes_and_options() {
        let read = setting(&[("PluginName", "x"), ("Accuracy", "1e-3"), ("MODE", "NRMSE"), ("effort", "0")]).unwrap();
        assert_eq!(read.bound, Bound::Nrmse(1e-3));
        assert_eq!(read.codec.options().effort, Effort::Fast);
        assert_eq!(setting(&[("accuracy", "2")]).unwrap().bound, Bound::Abs(2.0));
        assert_eq!(setting(&[("mode", "lossless")]).unwrap().bound, Bound::Lossless);
        for name in Bound::NAMES {
            assert_eq!(setting(&[("mode", name), ("accuracy", "1")]).unwrap().bound.name(), name);
        }
    }

    #[test]
    fn what_is_there_is_checked_and_the_rest_may_come() {
        for pairs in
            [&[][..], &[("PluginName", "x")], &[("mode", "rel")], &[("mode", "lossless")], &[("accuracy", "1e-3")]]
        {
            check(pairs.iter().copied()).unwrap();
        }
        for (pairs, part) in [
            (&[("acuracy", "1")][..], "'acuracy' is not known"),
            (&[("accuracy", "0")], "greater than 0"),
            (&[("accuracy", "small")], "expected a number"),
            (&[("mode", "max")], "ABS|REL"),
            (&[("effort", "fast")], "0, 1 or 2"),
            (&[("order", "x")], "C or Fortran"),
        ] {
            let error = check(pairs.iter().copied()).unwrap_err();
            assert!(error.message().contains(part), "{error}");
        }
    }

    #[test]
    fn codecs_are_shared_and_few() {
        let kept = |fill_value| codec(&Options::default().with_fill_value(fill_value).with_threads(1)).unwrap();
        assert!(Arc::ptr_eq(&kept(Some(f64::NAN)), &kept(Some(f64::NAN))));
        assert!(!Arc::ptr_eq(&kept(Some(0.0)), &kept(Some(-0.0))));
        let first = kept(Some(0.5));
        (1..=CODECS_KEPT).for_each(|k| drop(kept(Some(k as f64))));
        assert_eq!(Arc::strong_count(&first), 1);
    }

    #[test]
    fn errors_list_what_is_allowed() {
        let message = |pairs: &[(&str, &str)]| setting(pairs).err().unwrap().message().to_owned();
        let unknown = message(&[("acuracy", "1")]);
        for (key, _) in OPTION_KEYS {
            assert!(unknown.contains(key), "{unknown}");
        }
        assert!(unknown.contains("accuracy") && unknown.contains("mode"));
        assert!(message(&[("mode", "max"), ("accuracy", "1")]).contains("ABS|REL|NRMSE|PSNR|BLOCK_L2|LOSSLESS|PW_REL"));
        assert!(message(&[("accuracy", "1"), ("order", "F")]).contains("C or Fortran"));
        assert!(message(&[("accuracy", "tight")]).contains("number"));
        assert!(message(&[("accuracy", "-1")]).contains("greater than 0"));
        assert!(message(&[("accuracy", "1"), ("effort", "9")]).contains("0, 1 or 2"));
        assert!(message(&[("mode", "REL")]).contains("accuracy is missing"));
    }

    #[test]
    fn a_requested_accuracy_stands_in_for_the_parameter() {
        let bound = |norm, relative| Setting::new([], &Accuracy { error: 0.5, norm, relative }).map(|read| read.bound);
        assert_eq!(bound(f64::INFINITY, false).unwrap(), Bound::Abs(0.5));
        assert_eq!(bound(f64::INFINITY, true).unwrap(), Bound::Rel(0.5));
        assert_eq!(bound(0.0, true).unwrap(), Bound::Nrmse(0.5));
        assert!(bound(0.0, false).is_err());
        let both = Setting::new([("accuracy", "3")], &Accuracy { error: 0.5, norm: 0.0, relative: true }).unwrap();
        assert_eq!(both.bound, Bound::Abs(3.0));
    }

    #[test]
    fn equal_options_share_a_codec() {
        let first = setting(&[("accuracy", "1"), ("threads", "3")]).unwrap();
        let second = setting(&[("accuracy", "2"), ("threads", "3")]).unwrap();
        assert!(Arc::ptr_eq(&first.codec, &second.codec));
    }
}
