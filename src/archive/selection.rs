//! The selected part of a variable, and the pieces of chunks that make it up.

use super::definitions::VariableInfo;
use super::index::Chunk;
use crate::error::{Error, Result};
use crate::field::{Element, Region, Shape};
use std::ops::Range;

/// The part of a variable to read.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The steps, in order.
    pub steps: Range<u64>,
    /// A box of the domain; `None`: all of it.
    pub region: Option<Region>,
    /// The value of points that no rank put; `None`: such points are an error.
    pub missing: Option<f64>,
}

impl Selection {
    /// The whole domain at one step.
    pub fn step(step: u64) -> Self {
        Self { steps: step..step.saturating_add(1), region: None, missing: None }
    }

    /// The shape of the selection: the box, after an axis of steps where there are several.
    ///
    /// # Errors
    /// `InvalidArgument` where there are no steps, the box is not inside the domain, or axes do not suffice.
    pub fn output_shape(&self, variable: &VariableInfo) -> Result<Shape> {
        let region = self.region(variable)?;
        let steps = self.steps.end.saturating_sub(self.steps.start);
        match steps {
            0 => Err(Error::invalid("no steps are selected")),
            1 => Shape::new(&region.count),
            _ => {
                let steps = usize::try_from(steps).map_err(|_| Error::invalid("too many steps are selected"))?;
                Shape::new(&std::iter::once(steps).chain(region.count).collect::<Vec<_>>())
            }
        }
    }

    pub(super) fn region(&self, variable: &VariableInfo) -> Result<Region> {
        let region = self.region.clone().unwrap_or_else(|| Region::whole(&variable.shape));
        region.check(&variable.shape).map_err(|error| error.context(format!("variable {}", variable.name)))?;
        Ok(region)
    }
}

/// The caller's array for a selection.
pub(super) struct Target {
    pub(super) region: Region,
    pub(super) steps: Range<u64>,
    pub(super) strides: Vec<usize>,
    pub(super) step_stride: usize,
}

impl Target {
    /// The place of a point of the domain at a step.
    pub(super) fn offset(&self, at: &[usize], step: u64) -> usize {
        let inside =
            at.iter().zip(&self.region.start).zip(&self.strides).map(|((at, start), stride)| (at - start) * stride);
        inside.sum::<usize>() + (step - self.steps.start) as usize * self.step_stride
    }

    pub(super) fn fill<T: Element>(&self, out: &mut [T], value: T) {
        let dims = &self.region.count;
        for step in self.steps.clone() {
            let mut index = vec![0; dims.len()];
            loop {
                let at: Vec<usize> = index.iter().zip(&self.region.start).map(|(i, start)| i + start).collect();
                out[self.offset(&at, step)] = value;
                let Some(axis) = (0..dims.len()).rev().find(|&axis| index[axis] + 1 < dims[axis]) else { break };
                index[axis] += 1;
                index[axis + 1..].fill(0);
            }
        }
    }
}

/// The part of a chunk that is wanted, in the domain's indices.
pub(super) struct Piece<'a> {
    pub(super) chunk: &'a Chunk,
    pub(super) region: Region,
    pub(super) steps: Range<u64>,
}

impl<'a> Piece<'a> {
    /// `None` where they do not meet.
    pub(super) fn of(chunk: &'a Chunk, wanted: &Region, steps: &Range<u64>) -> Option<Self> {
        let steps = chunk.steps.start.max(steps.start)..chunk.steps.end.min(steps.end);
        let mut region = Region { start: Vec::new(), count: Vec::new() };
        for axis in 0..wanted.start.len() {
            let start = wanted.start[axis].max(chunk.region.start[axis]);
            let end =
                (wanted.start[axis] + wanted.count[axis]).min(chunk.region.start[axis] + chunk.region.count[axis]);
            region.start.push(start);
            region.count.push(end.checked_sub(start).filter(|&count| count > 0)?);
        }
        (steps.start < steps.end).then_some(Self { chunk, region, steps })
    }

    pub(super) fn points(&self) -> u128 {
        (self.steps.end - self.steps.start) as u128 * self.region.count.iter().product::<usize>() as u128
    }
}
