//! Coding without loss by closed-loop prediction, of values that lie on a lattice: counts, labels, decimals.

use super::Passes;
use crate::closed_loop::{Account, Search};
use crate::codec::report::StageSeconds;
use crate::codec::segment::closed_loop::Closed;
use crate::error::Result;
use crate::field::Element;

/// What first looks at small boxes may say of a segment's bytes over what they will be.
const DOUBT: f64 = 1.5;

impl<T: Element> Passes<'_, T> {
    /// Every segment's section, from which all bits return; `None` where values do not lie on a lattice, or where
    /// segments would take far more than `most` bytes, as some of them tell.
    ///
    /// # Errors
    /// `Internal` where the check of the own output fails.
    pub(in crate::codec) fn exact(&self, most: f64, stages: &mut StageSeconds) -> Result<Option<Vec<Vec<u8>>>> {
        let (count, mixing) = (self.cut.segments.len(), self.knobs().mixes_contexts());
        let (mut bits, mut points) = (0.0, 0);
        for index in [0, count / 2, count - 1] {
            let source = self.source(index);
            let closed = Closed { source: &source, context: &self.context, bound: 0.0 };
            let Some(search) = Search::exact(&closed, mixing) else { return Ok(None) };
            let first = search.first();
            bits += first.bits;
            points += first.points();
        }
        let all = bits / 8.0 / points as f64 * self.field.shape().len() as f64;
        tracing::debug!(bytes = all, most, "without loss in closed loop");
        if all > DOUBT * most {
            return Ok(None);
        }
        let segments = self.tools.map(0..count, |index| {
            let source = self.source(index);
            let closed = Closed { source: &source, context: &self.context, bound: 0.0 };
            let parameters = Search::new(&closed, mixing).finish().parameters;
            let coded = self.encode_closed(&closed, parameters, Account::default())?;
            self.finish_closed(&closed, coded)
        })?;
        segments.iter().for_each(|segment| stages.add(&segment.encoded.stages));
        Ok(Some(segments.into_iter().map(|segment| segment.encoded.bytes).collect()))
    }
}
