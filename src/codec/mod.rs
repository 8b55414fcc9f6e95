//! The flow itself: compress, decompress, inspect.
//!
//! `plan` decides how a segment is coded, `rate` at which steps, `segment` codes and decodes it; `passes` leads them
//! over a field until its bound holds; `lossless` is for what cannot be bounded.

mod array;
mod axes;
#[allow(clippy::module_inception)] // the struct that the folder is named after
mod codec;
mod compress;
mod decompress;
mod effort;
mod fixed_size;
mod inspect;
mod logarithms;
mod lossless;
mod output;
mod passes;
#[cfg(all(test, feature = "onnx"))]
mod perturbed;
mod plan;
mod progress;
mod rate;
mod report;
mod request;
mod segment;
mod step_stream;
#[cfg(all(test, feature = "onnx"))]
mod tests;
mod tools;
#[cfg(test)]
mod training;
mod workers;

pub use codec::{Codec, inspect};
pub(crate) use rate::error_curve::error_curve;
pub use report::{Report, SectionBytes, StageSeconds, StreamInfo};
pub use request::{Request, Scale};
pub use segment::reference::ReferenceFrame;
pub use step_stream::{DEFAULT_WINDOW, StepStream};
