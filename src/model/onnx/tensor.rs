//! A tensor as far as it is known before a graph runs: its type and shape, and its values where it is a short one, as
//! those that shapes are computed from are.

use super::message::Tensor;

/// Values of longer tensors are not kept.
pub(super) const SHORT: usize = 64;
/// Axes of a tensor, at most.
pub(super) const MAX_AXES: usize = 8;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    F16,
    F32,
    F64,
    I64,
}

impl Element {
    /// The type of a number in `TensorProto.DataType`.
    pub(super) fn of(number: i64) -> Result<Self, String> {
        match number {
            1 => Ok(Self::F32),
            7 => Ok(Self::I64),
            10 => Ok(Self::F16),
            11 => Ok(Self::F64),
            _ => Err(format!("elements of type {number}; expected f16, f32, f64 or i64 (10, 1, 11, 7)")),
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }
}

/// The values of a short tensor.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    Ints(Vec<i64>),
    Reals(Vec<f32>),
}

/// A tensor as far as it is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    pub(super) element: Element,
    pub(super) dims: Vec<usize>,
    pub(super) values: Option<Values>,
}

/// How many elements a shape has.
///
/// # Errors
/// Where that is no number of this machine, or there are too many axes.
pub(super) fn count(dims: &[usize]) -> Result<usize, String> {
    if dims.len() > MAX_AXES {
        return Err(format!("a tensor of {} axes; expected at most {MAX_AXES}", dims.len()));
    }
    // Also of the axes beside one of length 0: what is multiplied later does not overflow.
    let all = dims.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim.max(1)));
    let all = all.ok_or_else(|| format!("a tensor of shape {dims:?}, which no memory holds"))?;
    Ok(if dims.contains(&0) { 0 } else { all })
}

impl Known {
    /// Of which only type and shape are known.
    pub(super) fn of(element: Element, dims: Vec<usize>) -> Self {
        Self { element, dims, values: None }
    }

    /// A short list of integers.
    pub(super) fn ints(values: Vec<i64>) -> Self {
        Self { element: Element::I64, dims: vec![values.len()], values: Some(Values::Ints(values)) }
    }

    /// A graph's own tensor.
    ///
    /// # Errors
    /// Why it is not one whose values lie here, as many as its shape says.
    pub(super) fn read(tensor: &Tensor) -> Result<Self, String> {
        if !tensor.external_data.is_empty() || tensor.data_location.is_some_and(|place| place != 0) {
            return Err(
                "it keeps weights in another file, which the package's hash does not cover; export it with them inside"
                    .into(),
            );
        }
        let element = Element::of(tensor.data_type.unwrap_or(0).into())?;
        let dims: Option<Vec<usize>> = tensor.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect();
        let dims = dims.ok_or_else(|| format!("a tensor of shape {:?}", tensor.dims))?;
        let bytes = tensor.raw_data.as_deref().unwrap_or_default();
        if count(&dims)?.checked_mul(element.bytes()) != Some(bytes.len()) {
            return Err(format!("a tensor of shape {dims:?} with {} bytes of values", bytes.len()));
        }
        let mut known = Self::of(element, dims);
        if bytes.len() <= SHORT * element.bytes() {
            known.values = match element {
                Element::I64 => Some(Values::Ints(numbers(bytes, i64::from_le_bytes))),
                Element::F32 => Some(Values::Reals(numbers(bytes, f32::from_le_bytes))),
                Element::F16 | Element::F64 => None,
            };
        }
        Ok(known)
    }

    /// Its integers, where they are known.
    pub(super) fn as_ints(&self) -> Option<&[i64]> {
        match &self.values {
            Some(Values::Ints(values)) => Some(values),
            _ => None,
        }
    }

    /// A tensor of another shape that has at each place the value of one of this one's; `places` are those, row by row.
    pub(super) fn rearranged(&self, dims: Vec<usize>, places: impl Fn(usize) -> usize) -> Self {
        let mut out = Self::of(self.element, dims);
        if let (Some(values), Ok(n)) = (&self.values, count(&out.dims))
            && n <= SHORT
        {
            out.values = Some(match values {
                Values::Ints(values) => Values::Ints((0..n).map(|at| values[places(at)]).collect()),
                Values::Reals(values) => Values::Reals((0..n).map(|at| values[places(at)]).collect()),
            });
        }
        out
    }
}

fn numbers<T, const N: usize>(bytes: &[u8], from: fn([u8; N]) -> T) -> Vec<T> {
    bytes.chunks_exact(N).map(|chunk| from(chunk.try_into().expect("chunks are of this length"))).collect()
}
