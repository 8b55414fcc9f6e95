//! What an operator makes of its inputs, as far as that is known before it runs, and how many multiplications and
//! additions it takes. The rules are those of the ONNX operators' specification at opset 17; whatever one does not
//! cover is an error.

mod arrange;
mod window;

use super::Step;
use super::operators::{Arithmetic, Rule};
use super::tensor::{Element, Known, Values, count};

/// What an operator gives, and what it costs.
pub(super) struct Outcome {
    pub(super) outputs: Vec<Known>,
    /// Multiplications and additions, or as much work; saturates.
    pub(super) work: u64,
}

/// An input that must be there.
fn needed<'a>(inputs: &[Option<&'a Known>], at: usize) -> Result<&'a Known, String> {
    inputs.get(at).copied().flatten().ok_or_else(|| format!("input {at} is missing"))
}

/// The values of an input that shapes depend on.
fn needed_ints<'a>(inputs: &[Option<&'a Known>], at: usize) -> Result<&'a [i64], String> {
    needed(inputs, at)?.as_ints().ok_or_else(|| format!("input {at} says a shape, and depends on values"))
}

/// An axis that may count from the end.
fn axis(at: i64, axes: usize) -> Result<usize, String> {
    let found = if at < 0 { at.checked_add(axes as i64) } else { Some(at) };
    let found = found.and_then(|at| usize::try_from(at).ok()).filter(|&at| at < axes);
    found.ok_or_else(|| format!("axis {at} of {axes}"))
}

/// A size that was computed.
fn size(of: i64) -> Result<usize, String> {
    usize::try_from(of).map_err(|_| format!("an axis of length {of}"))
}

/// The product of factors of work.
fn product(factors: impl IntoIterator<Item = usize>) -> u64 {
    factors.into_iter().fold(1, |all, factor| all.saturating_mul(factor as u64))
}

/// Types and shapes of a step's outputs.
///
/// # Errors
/// Why they cannot be known.
pub(super) fn infer(step: &Step, inputs: &[Option<&Known>]) -> Result<Outcome, String> {
    let made = match step.rule {
        Rule::Same => needed(inputs, 0).map(|input| Known::of(input.element, input.dims.clone())),
        Rule::Broadcast(arithmetic) => combine(arithmetic, needed(inputs, 0)?, needed(inputs, 1)?),
        Rule::Cast => cast(step, needed(inputs, 0)?),
        Rule::Constant => step.tensor("value").cloned().ok_or_else(|| "it has no value".to_owned()),
        Rule::ConstantOfShape => arrange::constant_of_shape(step, inputs),
        Rule::Concat => arrange::concat(step, inputs),
        Rule::DepthToSpace => arrange::depth_to_space(step, needed(inputs, 0)?),
        Rule::Gather => arrange::gather(step, needed(inputs, 0)?, needed(inputs, 1)?),
        Rule::Pad => arrange::pad(step, inputs),
        Rule::ReduceMean => arrange::reduce(step, needed(inputs, 0)?),
        Rule::Reshape => arrange::reshape(step, inputs),
        Rule::Shape => arrange::shape(needed(inputs, 0)?),
        Rule::Slice => arrange::slice(inputs),
        Rule::Transpose => arrange::transpose(step, needed(inputs, 0)?),
        Rule::Unsqueeze => arrange::unsqueeze(inputs),
        Rule::Split => return arrange::split(step, inputs),
        Rule::Conv => return window::convolution(step, inputs),
        Rule::ConvTranspose => return window::transposed(step, inputs),
        Rule::MaxPool => return window::pooling(step, needed(inputs, 0)?),
        Rule::Resize => return window::resize(step, inputs),
        Rule::Gemm => return gemm(step, inputs),
        Rule::MatMul => return matmul(needed(inputs, 0)?, needed(inputs, 1)?),
    }?;
    // Whatever an operator reads or writes is work, too.
    let read = inputs.iter().flatten().map(|input| product(input.dims.iter().copied())).max().unwrap_or(0);
    let work = read.max(count(&made.dims)? as u64);
    Ok(Outcome { outputs: vec![made], work })
}

fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let n = a.len().max(b.len());
    let dim = |dims: &[usize], at: usize| (at + dims.len()).checked_sub(n).map_or(1, |at| dims[at]);
    (0..n)
        .map(|at| match (dim(a, at), dim(b, at)) {
            (1, d) | (d, 1) => Ok(d),
            (d, e) if d == e => Ok(d),
            _ => Err(format!("shapes {a:?} and {b:?} do not go together")),
        })
        .collect()
}

fn combine(arithmetic: Arithmetic, a: &Known, b: &Known) -> Result<Known, String> {
    let mut out = Known::of(a.element, broadcast(&a.dims, &b.dims)?);
    let (Some(x), Some(y)) = (a.as_ints(), b.as_ints()) else { return Ok(out) };
    // Numbers of shapes are lists and single ones.
    let n = count(&out.dims)?;
    if out.dims.len() > 1 || n > super::tensor::SHORT {
        return Ok(out);
    }
    let values: Option<Vec<i64>> = (0..n)
        .map(|at| {
            let (x, y) = (x[if x.len() == 1 { 0 } else { at }], y[if y.len() == 1 { 0 } else { at }]);
            match arithmetic {
                Arithmetic::Add => x.checked_add(y),
                Arithmetic::Sub => x.checked_sub(y),
                Arithmetic::Mul => x.checked_mul(y),
                Arithmetic::Div => x.checked_div(y),
            }
        })
        .collect();
    out.values = Some(Values::Ints(values.ok_or("numbers that shapes are made of overflow, or are divided by 0")?));
    Ok(out)
}

fn cast(step: &Step, input: &Known) -> Result<Known, String> {
    let element = Element::of(step.int("to", 0))?;
    let mut out = Known::of(element, input.dims.clone());
    // Casts that change a number are not followed: no shape depends on one.
    if element == Element::I64 {
        out.values = input.as_ints().map(|values| Values::Ints(values.to_vec()));
    }
    Ok(out)
}

/// The two sides of a matrix, which may be transposed.
fn sides(input: &Known, transposed: bool) -> Result<[usize; 2], String> {
    match input.dims[..] {
        [rows, columns] => Ok(if transposed { [columns, rows] } else { [rows, columns] }),
        _ => Err(format!("shape {:?}; expected a matrix", input.dims)),
    }
}

fn gemm(step: &Step, inputs: &[Option<&Known>]) -> Result<Outcome, String> {
    let a = needed(inputs, 0)?;
    let [rows, inner] = sides(a, step.int("transA", 0) != 0)?;
    let [other, columns] = sides(needed(inputs, 1)?, step.int("transB", 0) != 0)?;
    if inner != other {
        return Err(format!("matrices with {inner} columns and {other} rows"));
    }
    let work = product([rows, inner.max(1), columns]);
    Ok(Outcome { outputs: vec![Known::of(a.element, vec![rows, columns])], work })
}

fn matmul(a: &Known, b: &Known) -> Result<Outcome, String> {
    let ([before @ .., rows, inner], [batch @ .., other, columns]) = (&a.dims[..], &b.dims[..]) else {
        return Err(format!("shapes {:?} and {:?}; expected matrices", a.dims, b.dims));
    };
    if inner != other {
        return Err(format!("matrices with {inner} columns and {other} rows"));
    }
    let mut dims = broadcast(before, batch)?;
    dims.extend([*rows, *columns]);
    let work = product(dims.iter().copied()).saturating_mul((*inner).max(1) as u64);
    Ok(Outcome { outputs: vec![Known::of(a.element, dims)], work })
}
