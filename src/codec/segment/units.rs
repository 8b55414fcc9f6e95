//! Values of decoded frames: units restored, clamped to the field's range, masked points put back.

use super::context::FieldContext;
use crate::field::{Element, Specials};
use crate::residual::kernels::Kernel;

/// Working frames to values in the caller's type: units restored, clamped to the field's range, masked points put back.
pub(super) fn finish<T: Element, R: Kernel>(frames: &[R], classes: &[u8], context: FieldContext<'_>, out: &mut Vec<T>) {
    let _span = tracing::debug_span!("restore units").entered();
    let scale = context.normalisation.scale();
    out.clear();
    out.extend(frames.iter().map(|v| T::from_f64(context.normalisation.restore(v.to_f64(), scale))));
    put_back(classes, context.specials, out);
}

/// Working frames to values in the field's units, clamped to its range.
pub(super) fn in_units<R: Kernel>(frames: &[R], context: FieldContext<'_>) -> Vec<f64> {
    let scale = context.normalisation.scale();
    frames.iter().map(|v| context.normalisation.restore(v.to_f64(), scale)).collect()
}

/// As [`finish`], from values already in the field's units.
pub(super) fn finish_exact<T: Element>(values: &[f64], classes: &[u8], context: FieldContext<'_>, out: &mut Vec<T>) {
    out.clear();
    out.extend(values.iter().map(|v| T::from_f64(v.clamp(context.normalisation.min, context.normalisation.max))));
    put_back(classes, context.specials, out);
}

fn put_back<T: Element>(classes: &[u8], specials: &Specials, out: &mut [T]) {
    for (slot, &class) in out.iter_mut().zip(classes) {
        if class != 0
            && let Some(bits) = specials.bits(class)
        {
            *slot = T::from_bits_u64(bits);
        }
    }
}
