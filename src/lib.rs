//! # fieldpress
//!
//! Compresses the fields of a running simulation under an error bound that is checked before the call returns: a
//! foundation model (run through ONNX Runtime) and classical transforms predict, a residual coder corrects, and what is
//! left after that is repaired point by point.
//!
//! The data flow, and where each box lives:
//!
//! ```text
//! field ─ mask ─ normalise ─ windows and tiles     field, window
//!   predict each window (four ways)                predict, model
//!   residual: PCA, wavelet, quantise, contexts     residual, entropy
//!   enhance what is decoded                        enhance
//!   check and repair                               bound
//!   header and sections                            stream
//!   the flow itself                                codec
//! many fields, steps and ranks in one file         archive
//! ```
#![warn(missing_docs)]

pub mod archive;
mod bound;
mod closed_loop;
mod codec;
mod enhance;
mod entropy;
mod error;
pub mod ffi;
mod field;
#[doc(hidden)]
pub mod model;
mod options;
mod predict;
mod residual;
mod stream;
mod window;

pub use bound::Bound;
pub use codec::{
    Before, Codec, DEFAULT_WINDOW, Report, Request, Scale, SectionBytes, StageSeconds, StepStream, StreamInfo, inspect,
};
pub use error::{Error, ErrorKind, Result};
pub use field::{DType, Element, FieldView, FieldViewMut, MAX_DIMS, Region, Shape, Values, ValuesMut};
pub use options::{Device, Effort, FmMode, OPTION_KEYS, Options};

/// The README's examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
