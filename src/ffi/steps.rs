//! The entry points for fields that arrive one time step at a time.

use super::guard::guard;
use super::pointers::{self, Output};
use super::types::{
    bound_of, fieldpress_field, fieldpress_handle, fieldpress_report, fieldpress_status, fieldpress_stream,
};
use crate::codec::{Report, StepStream};
use crate::error::{Error, ErrorKind, Result};
use std::ffi::c_void;

/// Creates a stream of time steps: fieldpress_stream_push takes one step per call and gives bytes whenever a window of
/// them is full. Each window becomes a stream of its own, of dims {steps, step's dims}, with time slowest.
///
/// handle: from fieldpress_create; it may be destroyed before the stream is.
/// step: one time step: its dtype, ndim (at most 4) and dims are used; data may be null.
/// window: time steps of a window; 0: 8. As much memory is held as a window has, uncompressed.
/// bound_kind: what is bounded over each window, a fieldpress_bound_kind.
/// bound_value: the bound, finite and greater than 0, in the unit of its kind.
/// stream: where the new stream is stored; null is stored on failure.
///
/// # Safety
/// Each pointer is null or valid for its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_stream_create(
    handle: *const fieldpress_handle,
    step: *const fieldpress_field,
    window: usize,
    bound_kind: i32,
    bound_value: f64,
    stream: *mut *mut fieldpress_stream,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        unsafe { pointers::store(stream, "stream", std::ptr::null_mut()) }?;
        // SAFETY: this function's contract.
        let codec = unsafe { pointers::reference(handle, "handle") }?.codec.clone();
        // SAFETY: this function's contract.
        let (shape, dtype) = pointers::shape(unsafe { pointers::reference(step, "step") }?)?;
        let steps = StepStream::new(codec, &shape, dtype, window, bound_of(bound_kind, bound_value)?)?;
        let new = Box::new(fieldpress_stream { steps });
        // SAFETY: this function's contract.
        unsafe { pointers::store(stream, "stream", Box::into_raw(new)) }
    })
}

/// Destroys a stream of time steps; steps that wait for their window are lost. No call may be using it. Null is allowed
/// and does nothing.
///
/// # Safety
/// `stream` is null or comes from `fieldpress_stream_create` and has not been destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_stream_destroy(stream: *mut fieldpress_stream) {
    if stream.is_null() {
        return;
    }
    guard(|| {
        // SAFETY: from `Box::into_raw` in `fieldpress_stream_create`, by this function's contract.
        drop(unsafe { Box::from_raw(stream) });
        Ok(())
    });
}

/// The size of a buffer that holds any window of a stream of time steps.
///
/// stream: from fieldpress_stream_create.
/// bytes: where the size is stored, in bytes.
///
/// # Safety
/// Each pointer is null or valid for its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_stream_bound(
    stream: *const fieldpress_stream,
    bytes: *mut usize,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let steps = &unsafe { pointers::reference(stream, "stream") }?.steps;
        // SAFETY: this function's contract.
        unsafe { pointers::store(bytes, "bytes", steps.compress_bound()) }
    })
}

/// Takes one time step. Its values are copied, so that the simulation may go on in the same array.
///
/// stream: from fieldpress_stream_create.
/// step: the time step, of the stream's dtype, ndim and dims, with any strides.
/// buffer: where the window's bytes are stored when this step fills it.
/// bytes: on entry the buffer's size, which must be at least what fieldpress_stream_bound says; on return the bytes
///   stored: 0 where the window is not full yet.
/// report: what was done, or null. Its member size must be set. All zero where the window is not full yet.
///
/// After an error that names an argument, the step has not been taken; after any other, the window is kept:
/// fieldpress_stream_flush tries again.
///
/// # Safety
/// Each pointer is null or valid for its type; `step` describes readable memory, `buffer` has `*bytes` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_stream_push(
    stream: *mut fieldpress_stream,
    step: *const fieldpress_field,
    buffer: *mut c_void,
    bytes: *mut usize,
    report: *mut fieldpress_report,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let target = unsafe { Target::check(stream, buffer, bytes, report) }?;
        // SAFETY: this function's contract.
        let step = unsafe { pointers::view(pointers::reference(step, "step")?) }?;
        // SAFETY: this function's contract.
        unsafe { target.store(|steps| steps.push(&step)) }
    })
}

/// Compresses the time steps that wait for their window to fill, for example at a checkpoint or at the end.
///
/// stream: from fieldpress_stream_create.
/// buffer, bytes, report: as for fieldpress_stream_push; 0 bytes where no step waits.
///
/// # Safety
/// As `fieldpress_stream_push`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_stream_flush(
    stream: *mut fieldpress_stream,
    buffer: *mut c_void,
    bytes: *mut usize,
    report: *mut fieldpress_report,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let target = unsafe { Target::check(stream, buffer, bytes, report) }?;
        // SAFETY: this function's contract.
        unsafe { target.store(StepStream::flush) }
    })
}

/// A stream and where its bytes go.
struct Target<'a> {
    steps: &'a mut StepStream,
    buffer: *mut c_void,
    bytes: *mut usize,
    report: Output<fieldpress_report>,
}

impl Target<'_> {
    /// Checks all of it before a step is taken, so that a full window never waits for a larger buffer.
    ///
    /// # Safety
    /// Each pointer is null or valid for its type; `buffer` has `*bytes` writable bytes.
    unsafe fn check(
        stream: *mut fieldpress_stream,
        buffer: *mut c_void,
        bytes: *mut usize,
        report: *mut fieldpress_report,
    ) -> Result<Self> {
        // SAFETY: this function's contract.
        let steps = &mut unsafe { pointers::reference_mut(stream, "stream") }?.steps;
        // SAFETY: this function's contract.
        let report = unsafe { Output::optional(report, "report") }?;
        // SAFETY: this function's contract; no bytes are read.
        unsafe { pointers::bytes(buffer, 0, "buffer") }?;
        // SAFETY: this function's contract.
        let room = unsafe { pointers::load_size(bytes, "bytes") }?;
        let needed = steps.compress_bound();
        if room < needed {
            // SAFETY: this function's contract.
            unsafe { pointers::store(bytes, "bytes", needed) }?;
            return Err(Error::new(
                ErrorKind::BufferTooSmall,
                format!("buffer has {room} bytes; a window may need {needed}"),
            ));
        }
        Ok(Self { steps, buffer, bytes, report })
    }

    /// # Safety
    /// As [`Target::check`].
    unsafe fn store(self, work: impl FnOnce(&mut StepStream) -> Result<Option<(Vec<u8>, Report)>>) -> Result<()> {
        let done = work(self.steps)?;
        let stream = done.as_ref().map_or(&[][..], |(stream, _)| stream);
        // SAFETY: this function's contract; `stream` is memory of ours.
        unsafe { pointers::store_bytes(self.buffer, self.bytes, stream, "buffer") }?;
        self.report.write(done.as_ref().map_or_else(fieldpress_report::nothing, |(_, report)| report.into()));
        Ok(())
    }
}
