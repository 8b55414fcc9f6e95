//! Streams of closed-loop prediction: the field in C order, in the runs of [`Runs`], each decoded on its own.
//!
//! A section is, where the field has special patterns, a length and the mask's code; then what [`closed_loop::encode`]
//! gives.

use super::Tools;
use super::flat::for_each_run;
use crate::bound::check::Errors;
use crate::closed_loop::{self, Runs};
use crate::entropy::{Decoder, Encoder};
use crate::error::{Error, Result};
use crate::field::{Element, FieldView, MaskModel, Specials};
use crate::options::Effort;
use crate::stream::{Reader, Writer};

/// A field's sections, and how far they are from it.
pub(crate) struct Predicted {
    pub(crate) sections: Vec<Vec<u8>>,
    pub(crate) errors: Errors,
}

impl Predicted {
    /// How many bytes the sections have.
    pub(crate) fn len(&self) -> usize {
        self.sections.iter().map(Vec::len).sum()
    }
}

/// Codes a field so that no point but the special ones is further than `bound` from what [`decode`] returns, which is
/// checked. `unit` is that of [`Errors::new`]; a stream has the field's own
/// runs.
///
/// # Errors
/// `Internal` where the check fails.
pub(crate) fn encode<T: Element>(
    field: &FieldView<'_>,
    values: &[T],
    specials: &Specials,
    bound: f64,
    unit: f64,
    runs: &Runs,
    tools: &Tools<'_>,
) -> Result<Predicted> {
    let mixing = tools.options.effort > Effort::Fast;
    let coded = tools.map(0..runs.len(), |k| {
        let (from, until) = runs.range(k);
        let mut run = Vec::with_capacity(until - from);
        for_each_run(field.shape(), &field.strides, from, until, |_, start, count, stride| {
            run.extend((0..count).map(|i| values[start + i * stride]));
        });
        let shape = runs.shape(k);
        let mut section = Writer::default();
        let mask = mask_of(&run, specials);
        if let Some(classes) = &mask {
            let code = encode_mask(classes, &shape, specials)?;
            section.varint(code.len() as u64);
            section.bytes.extend_from_slice(&code);
        }
        let holes: Option<Vec<bool>> = mask.map(|classes| classes.iter().map(|&class| class != 0).collect());
        section.bytes.extend(closed_loop::encode(&run, &shape, holes.as_deref(), bound, mixing)?);
        let mut again = vec![T::from_bits_u64(0); run.len()];
        decode(&section.bytes, &shape, specials, &mut again)?;
        let mut errors = Errors::new(unit);
        errors.add(&run, &again, [1, 1, run.len()], specials, false)?;
        errors.guard(0.0);
        Ok((section.bytes, errors))
    })?;
    let mut all = Predicted { sections: Vec::with_capacity(coded.len()), errors: Errors::new(unit) };
    for (section, errors) in coded {
        all.sections.push(section);
        all.errors.merge(&errors);
    }
    // False where an error is not a number.
    if all.errors.largest <= bound && all.errors.squared.is_finite() {
        return Ok(all);
    }
    Err(Error::internal("the check of the own closed-loop output failed"))
}

/// Decodes a section of a run of this shape.
///
/// # Errors
/// `Corrupt`.
pub(crate) fn decode<T: Element>(bytes: &[u8], shape: &[usize], specials: &Specials, out: &mut [T]) -> Result<()> {
    if specials.is_empty() {
        return closed_loop::decode(bytes, shape, None, out);
    }
    let mut reader = Reader::new(bytes);
    let length = reader.length()?;
    let mut classes = vec![0; out.len()];
    let mut coder = Decoder::new(reader.bytes(length)?);
    let (count, h, w) = frames(shape);
    let kinds = specials.patterns().len() as u8;
    MaskModel::new().code(&mut coder, &mut classes, count, h, w, kinds)?;
    coder.finish()?;
    let holes: Vec<bool> = classes.iter().map(|&class| class != 0).collect();
    closed_loop::decode(reader.bytes(reader.remaining())?, shape, Some(&holes), out)?;
    for (slot, &class) in out.iter_mut().zip(&classes).filter(|(_, class)| **class != 0) {
        let missing = || Error::corrupt("a masked point has a class that the field does not have");
        *slot = T::from_bits_u64(specials.bits(class).ok_or_else(missing)?);
    }
    Ok(())
}

/// The bytes of a section that hold its mask.
pub(crate) fn mask_bytes(bytes: &[u8], specials: &Specials) -> Result<usize> {
    if specials.is_empty() {
        return Ok(0);
    }
    let mut reader = Reader::new(bytes);
    let length = reader.length()?;
    reader.bytes(length)?;
    Ok(bytes.len() - reader.remaining())
}

/// The classes of a run's points; `None` where the field has no special patterns.
fn mask_of<T: Element>(run: &[T], specials: &Specials) -> Option<Vec<u8>> {
    (!specials.is_empty()).then(|| run.iter().map(|v| specials.class_of(v.to_bits_u64()).unwrap_or(0)).collect())
}

fn encode_mask(classes: &[u8], shape: &[usize], specials: &Specials) -> Result<Vec<u8>> {
    let (count, h, w) = frames(shape);
    let mut coder = Encoder::new(Vec::new());
    let mut classes = classes.to_vec();
    MaskModel::new().code(&mut coder, &mut classes, count, h, w, specials.patterns().len() as u8)?;
    Ok(coder.finish())
}

/// A run as frames: its last two axes, and how often they come.
fn frames(shape: &[usize]) -> (usize, usize, usize) {
    let w = shape.last().copied().unwrap_or(1);
    let h = if shape.len() > 1 { shape[shape.len() - 2] } else { 1 };
    (shape.iter().product::<usize>() / (h * w).max(1), h, w)
}
