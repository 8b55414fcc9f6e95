//! The operators that graphs of model packages may have, with their attributes: those of the graphs that the training
//! code exports (ONNX opset 17, default domain). Nothing here has a graph inside, loops, draws random numbers or
//! reads anything but its inputs.

/// The kind of an attribute's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Float,
    Int,
    Text,
    Tensor,
    Ints,
}

impl Kind {
    /// Its number in `AttributeProto.type`.
    pub(super) fn number(self) -> i32 {
        match self {
            Self::Float => 1,
            Self::Int => 2,
            Self::Text => 3,
            Self::Tensor => 4,
            Self::Ints => 7,
        }
    }
}

/// An operator that is allowed.
#[derive(Debug)]
pub(super) struct Operator {
    pub(super) name: &'static str,
    pub(super) rule: Rule,
    /// Fewest and most inputs.
    pub(super) inputs: (usize, usize),
    pub(super) attributes: &'static [(&'static str, Kind)],
}

/// How an operator's output follows from its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Shape and type of the first input.
    Same,
    /// The inputs' shapes, broadcast.
    Broadcast(Arithmetic),
    Cast,
    Concat,
    Constant,
    ConstantOfShape,
    Conv,
    ConvTranspose,
    DepthToSpace,
    Gather,
    Gemm,
    MatMul,
    MaxPool,
    Pad,
    ReduceMean,
    Reshape,
    Resize,
    Shape,
    Slice,
    Split,
    Transpose,
    Unsqueeze,
}

/// What a broadcasting operator does with two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
}

use Arithmetic::{Add, Div, Mul, Sub};
use Kind::{Float, Int, Ints, Tensor, Text};

const WINDOW: [(&str, Kind); 4] = [("kernel_shape", Ints), ("strides", Ints), ("pads", Ints), ("dilations", Ints)];
const CONVOLUTION: &[(&str, Kind)] = &[WINDOW[0], WINDOW[1], WINDOW[2], WINDOW[3], ("group", Int)];
const POOLING: &[(&str, Kind)] = &[WINDOW[0], WINDOW[1], WINDOW[2], WINDOW[3], ("ceil_mode", Int)];
const GEMM: &[(&str, Kind)] = &[("alpha", Float), ("beta", Float), ("transA", Int), ("transB", Int)];
const RESIZE: &[(&str, Kind)] =
    &[("coordinate_transformation_mode", Text), ("cubic_coeff_a", Float), ("mode", Text), ("nearest_mode", Text)];

const fn operator(
    name: &'static str,
    rule: Rule,
    inputs: (usize, usize),
    attributes: &'static [(&'static str, Kind)],
) -> Operator {
    Operator { name, rule, inputs, attributes }
}

/// All of them, by name.
pub(super) static OPERATORS: [Operator; 32] = [
    operator("Abs", Rule::Same, (1, 1), &[]),
    operator("Add", Rule::Broadcast(Add), (2, 2), &[]),
    operator("Cast", Rule::Cast, (1, 1), &[("to", Int)]),
    operator("Clip", Rule::Same, (1, 3), &[]),
    operator("Concat", Rule::Concat, (1, 64), &[("axis", Int)]),
    operator("Constant", Rule::Constant, (0, 0), &[("value", Tensor)]),
    operator("ConstantOfShape", Rule::ConstantOfShape, (1, 1), &[("value", Tensor)]),
    operator("Conv", Rule::Conv, (2, 3), CONVOLUTION),
    operator("ConvTranspose", Rule::ConvTranspose, (2, 3), CONVOLUTION),
    operator("DepthToSpace", Rule::DepthToSpace, (1, 1), &[("blocksize", Int), ("mode", Text)]),
    operator("Div", Rule::Broadcast(Div), (2, 2), &[]),
    operator("Erf", Rule::Same, (1, 1), &[]),
    operator("Floor", Rule::Same, (1, 1), &[]),
    operator("Gather", Rule::Gather, (2, 2), &[("axis", Int)]),
    operator("Gemm", Rule::Gemm, (2, 3), GEMM),
    operator("Log", Rule::Same, (1, 1), &[]),
    operator("MatMul", Rule::MatMul, (2, 2), &[]),
    operator("MaxPool", Rule::MaxPool, (1, 1), POOLING),
    operator("Mul", Rule::Broadcast(Mul), (2, 2), &[]),
    operator("Pad", Rule::Pad, (2, 3), &[("mode", Text)]),
    operator("ReduceMean", Rule::ReduceMean, (1, 1), &[("axes", Ints), ("keepdims", Int)]),
    operator("Relu", Rule::Same, (1, 1), &[]),
    operator("Reshape", Rule::Reshape, (2, 2), &[("allowzero", Int)]),
    operator("Resize", Rule::Resize, (3, 4), RESIZE),
    operator("Shape", Rule::Shape, (1, 1), &[]),
    operator("Sigmoid", Rule::Same, (1, 1), &[]),
    operator("Slice", Rule::Slice, (3, 5), &[]),
    operator("Split", Rule::Split, (1, 2), &[("axis", Int)]),
    operator("Sqrt", Rule::Same, (1, 1), &[]),
    operator("Sub", Rule::Broadcast(Sub), (2, 2), &[]),
    operator("Transpose", Rule::Transpose, (1, 1), &[("perm", Ints)]),
    operator("Unsqueeze", Rule::Unsqueeze, (2, 2), &[]),
];

/// The operator of a name, where it is allowed.
pub(super) fn find(name: &str) -> Option<&'static Operator> {
    OPERATORS.binary_search_by(|operator| operator.name.cmp(name)).ok().map(|at| &OPERATORS[at])
}
