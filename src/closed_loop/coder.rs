//! The code of a segment's windows, one after another in one adaptive state.

use super::indices::Model;
use super::levels::{AXES, Grid};
use super::offset::Account;
use super::run::run;
use super::section::Parameters;
use super::work::Work;
use crate::entropy::{Cost, Decoder, Encoder};
use crate::error::{Error, Result};
use crate::field::Element;

/// The most points of a window of several frames.
const WINDOW_POINTS: usize = 1 << 21;

/// Frames of a window of a segment of so many frames of `size` points; the last window may have fewer.
pub(crate) fn window_frames(count: usize, size: usize) -> usize {
    let most = (WINDOW_POINTS / size.max(1)).max(1);
    count.div_ceil(count.div_ceil(most).max(1)).max(1)
}

/// A window to be coded.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a, T> {
    /// Its values in C order.
    pub(crate) values: &'a [T],
    /// Frames, rows and columns.
    pub(crate) dims: [usize; AXES],
    /// Points that are not data.
    pub(crate) mask: Option<&'a [bool]>,
    /// The range of the field's values.
    pub(crate) range: (f64, f64),
    /// The largest error of a value.
    pub(crate) bound: f64,
}

/// Writes the windows of a segment.
pub(crate) struct WindowEncoder<'a> {
    parameters: &'a Parameters,
    coder: Encoder,
    model: Model,
    account: Account,
}

impl<'a> WindowEncoder<'a> {
    /// `account` says how closely errors are to cancel, where parameters ask for that.
    pub(crate) fn new(parameters: &'a Parameters, account: Account) -> Self {
        Self { parameters, coder: Encoder::new(Vec::new()), model: Model::new(parameters.mixing), account }
    }

    /// Codes a window so that none of its points but those under the mask is further than the bound from what
    /// [`WindowDecoder::window`] returns.
    ///
    /// # Errors
    /// `Internal` where the sizes contradict each other.
    pub(crate) fn window<T: Element>(&mut self, window: &Window<'_, T>) -> Result<()> {
        let mut known = vec![T::from_f64(0.0); window.values.len()];
        let mut work = Work::new(Grid::of(window.dims), window.values, window.mask, window.bound, &mut known);
        work.account = self.account;
        run(&mut self.coder, &mut self.model, &mut work, self.parameters, window.range)?;
        let mask = |at| window.mask.is_some_and(|mask: &[bool]| mask[at]);
        let errors = known.iter().zip(window.values).enumerate().filter(|(at, _)| !mask(*at));
        let (points, sum) =
            errors.fold((0, 0.0), |(points, sum), (_, (a, b))| (points + 1, sum + (a.to_f64() - b.to_f64())));
        self.account.points += points;
        self.account.sum += sum;
        Ok(())
    }

    /// The code, and what errors come to.
    pub(crate) fn finish(self) -> (Vec<u8>, Account) {
        (self.coder.finish(), self.account)
    }
}

/// Reads what a [`WindowEncoder`] wrote.
pub(crate) struct WindowDecoder<'a> {
    parameters: Parameters,
    coder: Decoder<'a>,
    model: Model,
}

impl<'a> WindowDecoder<'a> {
    pub(crate) fn new(parameters: Parameters, code: &'a [u8]) -> Self {
        Self { parameters, coder: Decoder::new(code), model: Model::new(parameters.mixing) }
    }

    /// Decodes a window of these frames, rows and columns, mask and range into `out`.
    ///
    /// # Errors
    /// `Corrupt` for bytes that no encoder wrote.
    pub(crate) fn window<T: Element>(
        &mut self,
        dims: [usize; AXES],
        mask: Option<&[bool]>,
        range: (f64, f64),
        out: &mut [T],
    ) -> Result<()> {
        let mut work = Work::new(Grid::of(dims), &[], mask, 0.0, out);
        run(&mut self.coder, &mut self.model, &mut work, &self.parameters, range)?;
        if self.coder.exhausted() {
            return Err(Error::corrupt("a segment's code ends early"));
        }
        Ok(())
    }

    /// Checks that the code ends with its last window.
    ///
    /// # Errors
    /// `Corrupt` where bytes remain.
    pub(crate) fn finish(self) -> Result<()> {
        self.coder.finish()
    }
}

/// About how many bits a window takes with such parameters.
pub(crate) fn estimate<T: Element>(window: &Window<'_, T>, parameters: &Parameters) -> f64 {
    let mut cost = Cost::default();
    let mut known = vec![T::from_f64(0.0); window.values.len()];
    let mut work = Work::new(Grid::of(window.dims), window.values, window.mask, window.bound, &mut known);
    match run(&mut cost, &mut Model::new(parameters.mixing), &mut work, parameters, window.range) {
        Ok(()) => cost.bits(),
        Err(_) => f64::INFINITY,
    }
}
