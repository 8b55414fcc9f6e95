//! The operator plugin for ADIOS2: parameters in ADIOS2's style, and the blocks that reach the file.
//!
//! `operator.cpp` is the plugin's other half: it derives from ADIOS2's interface and calls what is bridged here. Values
//! and blocks cross as slices of the host's memory; nothing is copied on the way in.

mod block;
mod parameters;

use fieldpress::ffi::caught;
use fieldpress::{DType, Options, Result};
use parameters::Setting;

#[cxx::bridge(namespace = "fieldpress::adios2")]
mod bridge {
    /// One of the operator's parameters.
    struct Parameter {
        key: String,
        value: String,
    }

    /// ADIOS2's accuracy: `norm` is 0 for the root mean square error, infinity for the largest; `error` is over the
    /// range where `relative`.
    #[derive(Clone, Copy)]
    struct Accuracy {
        error: f64,
        norm: f64,
        relative: bool,
    }

    /// The errors that a block's values have; of a complex field's planes, the larger ones.
    #[derive(Clone, Copy, Debug, Default)]
    struct Achieved {
        rms: f64,
        largest: f64,
        relative_rms: f64,
        relative_largest: f64,
    }

    /// A block that was written.
    struct Written {
        bytes: usize,
        achieved: Achieved,
    }

    /// The type of a block's elements: f32 or (wide) f64, one or (complex) two of them.
    #[derive(Clone, Copy)]
    struct ElementType {
        wide: bool,
        complex: bool,
    }

    extern "Rust" {
        /// Parameters that have been understood, and the codec that they ask for.
        type Operator;

        /// Fails where one of `parameters` is wrong; that some are missing yet is no fault.
        fn check_parameters(parameters: &[Parameter]) -> Result<()>;

        /// Reads `parameters`. Where they name no accuracy, the `requested` one is used, if there is one.
        fn configure(parameters: &[Parameter], requested: Accuracy) -> Result<Box<Operator>>;

        /// Fails where a block of `dims` could not be compressed: axes that do not fit, a model that is not there.
        fn check(self: &Operator, dims: &[usize]) -> Result<()>;

        /// Compresses a block of `dims` into `block`, which has `largest_block` bytes.
        fn compress(
            self: &Operator,
            data: &[u8],
            element: ElementType,
            dims: &[usize],
            block: &mut [u8],
        ) -> Result<Written>;

        /// The most bytes that a block of so many can become.
        fn largest_block(data_bytes: usize) -> usize;

        /// Bytes of the values in a block.
        fn data_bytes(block: &[u8]) -> Result<usize>;

        /// Decompresses a block into `data`, which has as many bytes as `data_bytes` says.
        fn decompress(block: &[u8], data: &mut [u8]) -> Result<Achieved>;
    }
}

pub use block::largest_block;
pub use bridge::{Accuracy, Achieved, ElementType, Parameter, Written};

/// Parameters that have been understood, and the codec that they ask for.
pub struct Operator(Setting);

fn pairs(parameters: &[Parameter]) -> impl Iterator<Item = (&str, &str)> {
    parameters.iter().map(|parameter| (parameter.key.as_str(), parameter.value.as_str()))
}

fn check_parameters(parameters: &[Parameter]) -> Result<()> {
    caught(|| parameters::check(pairs(parameters)))
}

fn configure(parameters: &[Parameter], requested: Accuracy) -> Result<Box<Operator>> {
    caught(|| Ok(Box::new(Operator(Setting::new(pairs(parameters), &requested)?))))
}

impl Operator {
    fn check(&self, dims: &[usize]) -> Result<()> {
        caught(|| self.0.codec.check(&block::shape(dims, &self.0)?))
    }

    fn compress(&self, data: &[u8], element: ElementType, dims: &[usize], out: &mut [u8]) -> Result<Written> {
        let dtype = if element.wide { DType::F64 } else { DType::F32 };
        caught(|| block::compress(&self.0, data, dtype, element.complex, dims, out))
    }
}

fn data_bytes(block: &[u8]) -> Result<usize> {
    caught(|| block::data_bytes(block))
}

fn decompress(block: &[u8], data: &mut [u8]) -> Result<Achieved> {
    caught(|| {
        let codec = parameters::codec(&Options::default())?;
        block::decompress(&codec, block, data)
    })
}
