//! What a run does: shared by the tests, which write it, and the program that `mpirun` starts, which reads it.
#![allow(dead_code)] // each side uses its part

use fieldpress::archive::{VariableId, VariableInfo, Writer};
use fieldpress::{DType, FieldView, Result, Shape};
use serde::{Deserialize, Serialize};

/// A run of all ranks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Scenario {
    /// The archive.
    pub path: String,
    /// Option string of the writer, on all ranks.
    pub options: String,
    /// Further options, on one rank only.
    pub odd_options: Option<(usize, String)>,
    pub variables: Vec<Variable>,
    /// Steps are `first_step ..  first_step + steps`.
    pub first_step: usize,
    pub steps: usize,
    pub puts: Vec<Put>,
    pub faults: Vec<Fault>,
    /// Where each rank says what happened, `<report>.<rank>`.
    pub report: String,
    /// Read the archive afterwards, each rank a part, and compare with what was put.
    pub read_back: bool,
}

impl Scenario {
    /// Defines the variables.
    pub fn define(&self, writer: &mut Writer) -> Result<Vec<VariableId>> {
        let define = |variable: &Variable| {
            writer.define(VariableInfo {
                name: variable.name.clone(),
                shape: Shape::new(&variable.dims)?,
                dtype: if variable.double { DType::F64 } else { DType::F32 },
                attributes: Vec::new(),
            })
        };
        self.variables.iter().map(define).collect()
    }

    /// Puts a box at a step; `start` is the box's, or a wrong one.
    pub fn put(&self, writer: &mut Writer, id: VariableId, put: &Put, start: &[usize], step: usize) -> Result<()> {
        let variable = &self.variables[put.variable];
        let values = values(put.variable, step, &put.start, &put.count);
        let narrow: Vec<f32> = values.iter().map(|&v| v as f32).collect();
        let field =
            if variable.double { FieldView::new(&values, &put.count)? } else { FieldView::new(&narrow, &put.count)? };
        writer.put(id, start, &field, variable.bound.parse()?)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Variable {
    pub name: String,
    pub dims: Vec<usize>,
    pub double: bool,
    /// As on the command line.
    pub bound: String,
}

/// A box that a rank puts, at every step or at one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Put {
    pub rank: usize,
    pub variable: usize,
    pub step: Option<usize>,
    pub start: Vec<usize>,
    pub count: Vec<usize>,
}

/// Something that goes wrong on a rank, the first time that it enters a phase of a step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fault {
    pub rank: usize,
    pub step: usize,
    /// `put`, `compress`, `data`, `index`, `commit`, `close`, or `end` for not calling `end_step` but `close`.
    pub phase: String,
    pub what: What,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum What {
    /// SIGKILL.
    Kill,
    /// Fills the file system of this folder.
    FillDisk(String),
    /// Lets this process write files of so many bytes at most.
    Limit(u64),
    /// Does nothing for so many milliseconds.
    Wait(u64),
    /// Puts a box that lies outside the domain.
    WrongBox,
    /// Calls `close` where the others end the step.
    CloseEarly,
}

/// What a rank saw.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Each collective call, and what it returned: `ok`, or kind and message.
    pub calls: Vec<(String, String)>,
    pub finished: bool,
}

/// The value of a variable at a point of the domain: smooth, with a little noise, and the same however the domain is
/// cut.
pub fn value(variable: usize, step: usize, at: &[usize]) -> f64 {
    let mut sum = 0.0;
    let mut hash = (variable as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ step as u64;
    for (axis, &x) in at.iter().enumerate() {
        sum += (x as f64 * (0.17 + 0.05 * axis as f64) + step as f64 * 0.2 + variable as f64).sin();
        hash = (hash ^ x as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash ^= hash >> 29;
    }
    sum + (hash % 1024) as f64 * 1e-5
}

/// The values of a box, in C order.
pub fn values(variable: usize, step: usize, start: &[usize], count: &[usize]) -> Vec<f64> {
    let n: usize = count.iter().product();
    let mut at = start.to_vec();
    (0..n)
        .map(|i| {
            let mut rest = i;
            for axis in (0..count.len()).rev() {
                at[axis] = start[axis] + rest % count[axis];
                rest /= count[axis];
            }
            value(variable, step, &at)
        })
        .collect()
}
