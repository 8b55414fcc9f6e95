//! Compresses the fields of a running simulation, inside that simulation, and keeps an error bound.
//!
//! A *field* is one physical variable over a subdomain: an array of f32 or f64 with one to five axes, of which the last
//! three are frames (time steps or levels), rows and columns. A [`Codec`] predicts it, by transforms and by a
//! foundation model run through ONNX Runtime, codes what prediction leaves, and repairs the points that still miss the
//! bound. Before [`Codec::compress`] returns it has decoded its own stream and compared it with the original: **a
//! stream that you get keeps its bound**, on the values that a reader will have, or you get an error.
//!
//! # A first example
//!
//! ```
//! use fieldpress::{Bound, Codec, Options, Request};
//! use ndarray::Array3;
//!
//! let u: Array3<f32> = Array3::from_shape_fn((8, 64, 64), |(t, y, x)| ((x + y + 2 * t) as f32 * 0.05).sin());
//! let codec = Codec::new(Options::default())?;
//!
//! // Root mean square error at most a thousandth of the field's range.
//! let (stream, report) = codec.compress_array(u.view(), Bound::Nrmse(1e-3))?;
//! assert!(report.stream_bytes * 20 < report.input_bytes);
//! assert!(report.info.nrmse <= 1e-3);
//!
//! let (decoded, _) = codec.decompress_array(&stream, &Request::default())?;
//! assert_eq!(decoded.into_f32()?.shape(), u.shape());
//! # Ok::<(), fieldpress::Error>(())
//! ```
//!
//! [`examples/simple.rs`](https://github.com/fieldpress/fieldpress/blob/main/examples/simple.rs) goes on from here on a
//! page: a box of the field, a reduced resolution, what a stream says of itself, and an error.
//!
//! # What to ask for
//!
//! - **The error**: [`Bound`] has seven kinds. [`Bound::Abs`] and [`Bound::Rel`] hold at every point,
//!   [`Bound::PwRel`] in proportion to each, [`Bound::Nrmse`] and [`Bound::Psnr`] over the field, [`Bound::BlockL2`]
//!   over every 8×8×8 block; [`Bound::Lossless`] keeps every bit.
//! - **How hard to try**: [`Effort`]. [`Effort::Fast`] runs no model; [`Effort::High`] is for archives.
//! - **Points without data**: NaN and ±Inf come back bit for bit, and so does the value in [`Options::fill_value`],
//!   and others that lie as far outside as 1e20 and −9999 do ([`Sentinels`]). They disturb neither the range nor their
//!   neighbours.
//! - **A part of it**: a [`Request`] names a box, a reduced [`Scale`], or both; only what it needs is decoded.
//!
//! # Memory in and out
//!
//! | you have | use |
//! | --- | --- |
//! | an [`ndarray`] array | [`Codec::compress_array`], [`Codec::decompress_array`], [`Codec::decompress_into_array`] |
//! | an array in C or Fortran order | [`FieldView::from_array`], [`FieldViewMut::from_array`]: never copied |
//! | an array with gaps or reversed axes | [`ArrayField`]: copied once, in C order |
//! | a slice | [`FieldView::new`], [`FieldView::strided`]; the same of [`FieldViewMut`] |
//! | a field with halo cells | [`FieldView::part`] or [`FieldView::strided`]: never copied |
//! | one time step after another | [`StepStream`], which keeps a window of them; archives do so, too |
//! | many variables, steps and ranks | [`archive`]: one file that survives crashes |
//!
//! The layout changes nothing but the time that it takes: the same values in the same shape make the same bytes, on any
//! number of threads.
//!
//! # What goes wrong
//!
//! Every error is an [`Error`]: a [kind](ErrorKind) that a program can act on, and a sentence that names what was wrong
//! and what was expected.
//!
//! ```
//! use fieldpress::{Bound, Codec, ErrorKind, FieldView, Options, Request};
//!
//! let error = "nrsme=1e-3".parse::<Bound>().unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::InvalidArgument);
//! assert_eq!(
//!     error.to_string(),
//!     "bound 'nrsme' is not known; expected one of abs, rel, nrmse, psnr, block_l2, lossless, pw_rel"
//! );
//!
//! let error = FieldView::new(&[0f32; 100], &[10, 11]).unwrap_err();
//! assert_eq!(error.to_string(), "the array has 100 elements, but shape 10x11 has 110");
//!
//! // Damage is found by checksums before anything is decoded from it.
//! let codec = Codec::new(Options::default())?;
//! let (mut stream, _) = codec.compress(&FieldView::new(&[1f32, 2.0, 4.0], &[3])?, Bound::Lossless)?;
//! *stream.last_mut().unwrap() ^= 1;
//! let error = codec.decompress_array(&stream, &Request::default()).unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::Corrupt);
//! # Ok::<(), fieldpress::Error>(())
//! ```
//!
//! Two need more than a sentence. [`ErrorKind::Runtime`]: ONNX Runtime is loaded at run time, from the path in
//! `ORT_DYLIB_PATH` or `FIELDPRESS_ONNXRUNTIME` or from beside the program. Without it compressing works all the same,
//! by transforms alone, unless [`FmMode::On`] was asked for; but a stream that used the model needs it for decoding.
//! [`ErrorKind::Model`]: such a stream also names the model by its hash. The model compiled into this library is always
//! there; another must be given in [`Options::model`].
//!
//! # Where things are
//!
//! The source's folders are the boxes of the data flow:
//!
//! ```text
//! field ─ mask ─ normalise ─ windows and tiles     field, window
//!   predict each window (four modes)               predict, model
//!   residual: PCA, wavelet, quantise, contexts     residual, entropy
//!   enhance what is decoded                        enhance
//!   check and repair                               bound
//!   header and sections                            stream
//!   the flow itself                                codec
//! many fields, steps and ranks in one file         archive
//! ```
//!
//! The repository's [`docs`](https://github.com/fieldpress/fieldpress/tree/main/docs) have the design with the numbers
//! behind it, the format byte by byte, the archive, measurements, and how C, C++, Fortran, ADIOS2 and HDF5 call this
//! library. The command-line tool is the package `fieldpress-cli`.
//!
//! The feature `onnx`, on by default, is the model; without it nothing is loaded at run time.
#![warn(missing_docs)]

pub mod archive;
mod bound;
mod bytes;
mod closed_loop;
mod codec;
mod enhance;
mod entropy;
mod error;
pub mod ffi;
mod field;
mod fork_lock;
#[cfg(feature = "kernels")]
#[doc(hidden)]
pub mod kernels;
#[doc(hidden)]
pub mod model;
mod options;
mod predict;
mod residual;
mod stream;
mod window;

pub use bound::Bound;
pub use codec::{
    Codec, DEFAULT_WINDOW, ReferenceFrame, Report, Request, Scale, SectionBytes, StageSeconds, StepStream, StreamInfo,
    inspect,
};
pub use error::{Error, ErrorKind, Result};
pub use field::{
    ArrayField, Axes, DType, Decoded, Element, FieldView, FieldViewMut, MAX_DIMS, Region, SentinelSearch, Shape,
    Values, ValuesMut,
};
/// The version whose arrays this library takes and gives.
pub use ndarray;
pub use options::{Device, Effort, FmMode, OPTION_KEYS, Options, Sentinels};

/// The README's examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
