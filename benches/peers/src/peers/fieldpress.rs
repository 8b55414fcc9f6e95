//! fieldpress itself through its public API: one thread, on the CPU, an NRMSE bound.

use super::{Method, Search};
use crate::reference::Reference;
use crate::sample::Sample;
use ::fieldpress::{Bound, Codec, Device, Effort, FieldView, FieldViewMut, FmMode, Options, Request, inspect};
use anyhow::Result;
use std::borrow::Cow;
use std::cell::OnceCell;
use std::path::{Path, PathBuf};

/// fieldpress with one set of options.
pub struct Fieldpress {
    name: &'static str,
    effort: Effort,
    fm: FmMode,
    /// A model package in place of the one compiled in.
    package: Option<PathBuf>,
    codec: OnceCell<Codec>,
}

impl Fieldpress {
    /// `effort=0`.
    pub const FAST: &'static str = "fieldpress-0";
    /// `effort=1;fm=off`.
    pub const NO_MODEL: &'static str = "fieldpress-1-nofm";
    /// `effort=1`.
    pub const NORMAL: &'static str = "fieldpress-1";
    /// `effort=2`.
    pub const HIGH: &'static str = "fieldpress-2";
    /// `effort=2` with another model package, fine-tuned on the field's kind.
    pub const TUNED: &'static str = "fieldpress-2-tuned";

    /// The options of a name; `tuned` is the package of [`Self::TUNED`].
    pub fn named(name: &str, tuned: Option<&Path>) -> Option<Self> {
        let (name, effort, fm, package) = match name {
            Self::FAST => (Self::FAST, Effort::Fast, FmMode::Auto, None),
            Self::NO_MODEL => (Self::NO_MODEL, Effort::Normal, FmMode::Off, None),
            Self::NORMAL => (Self::NORMAL, Effort::Normal, FmMode::Auto, None),
            Self::HIGH => (Self::HIGH, Effort::High, FmMode::Auto, None),
            Self::TUNED => (Self::TUNED, Effort::High, FmMode::Auto, Some(tuned?.to_owned())),
            _ => return None,
        };
        Some(Self { name, effort, fm, package, codec: OnceCell::new() })
    }

    /// The codec, made at the first (untimed) call, so that a model is loaded once as in a simulation.
    fn codec<T: Sample>(&self, field: &Reference<'_, T>) -> Result<&Codec> {
        if self.codec.get().is_none() {
            let mut options = Options::default()
                .with_effort(self.effort)
                .with_fm(self.fm)
                .with_device(Device::Cpu)
                .with_threads(1)
                .with_fill_value(field.fill);
            options.model = self.package.clone();
            let _ = self.codec.set(Codec::new(options)?);
        }
        Ok(self.codec.get().expect("set above"))
    }
}

impl<T: Sample> Method<T> for Fieldpress {
    fn codec(&self) -> &'static str {
        self.name
    }

    fn mode(&self) -> &'static str {
        "nrmse"
    }

    fn search(&self, _field: &Reference<'_, T>, _target: f64) -> Search {
        Search::Direct
    }

    fn prepare<'a>(&self, field: &'a Reference<'_, T>, _parameter: f64) -> Cow<'a, [T]> {
        Cow::Borrowed(field.values)
    }

    fn compress(&self, field: &Reference<'_, T>, values: &[T], parameter: f64) -> Result<Vec<u8>> {
        let view = FieldView::new(values, &field.dims)?;
        Ok(self.codec(field)?.compress(&view, Bound::Nrmse(parameter))?.0)
    }

    fn decompress(&self, field: &Reference<'_, T>, stream: &[u8], out: &mut [T]) -> Result<()> {
        let mut view = FieldViewMut::new(out, &field.dims)?;
        self.codec(field)?.decompress(stream, &Request::default(), &mut view)?;
        Ok(())
    }

    fn fm_share(&self, stream: &[u8]) -> Option<f64> {
        inspect(stream).ok().map(|info| info.fm_share)
    }
}
