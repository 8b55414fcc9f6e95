//! The entry points.

use super::guard::{guard, last_error};
use super::pointers::{self, Output};
use super::types::{
    FIELDPRESS_MAX_DIMS, bound_of, dims_of, fieldpress_field, fieldpress_handle, fieldpress_info, fieldpress_report,
    fieldpress_request, fieldpress_status, is_ratio,
};
use crate::codec::{Codec, Request, Scale, inspect};
use crate::error::Result;
use crate::options::Options;
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// Creates a handle.
///
/// options: "key=value" pairs separated by semicolons, for example "device=cpu;threads=1;effort=1"; null or "" for the
/// defaults. Keys:
///   model       path of a model package, in place of the one compiled in
///   device      auto (CUDA where it can be had), cpu, cuda or cuda:N
///   threads     1 to 1024, of which no more work than there are processors; default: the process's share of the
///               processors that it may use
///   effort      0 (fast), 1 (default) or 2 (smallest, and very slow both ways where the model pays)
///   fm          auto (default), on or off: use of the foundation model
///   fill_value  a number that marks points without data
///   sentinels   auto (default): values far outside of all others, as 1e20 and -9999, mark such points, too; off; or
///               up to eight numbers that do, for example -9999,1e20
///   axes        the dimensions that are frames, rows, columns, for example 0,1,2, or frames, planes, rows, columns
///               of volumes, for example 0,1,2,3; default: tried on a sample
///   segment     frames that are coded together, and from whose first on a part is decoded; default: 128
///   range       what relative bounds refer to, where it is not the field's own max - min
///   trust_embedded_model
///               1: a model that an archive carries may run although it is not installed here; default 0. A model is a
///               program: for archives of people that you trust
/// handle: where the new handle is stored; null is stored on failure.
///
/// # Safety
/// `options` is null or a zero-terminated string; `handle` is null or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_create(
    options: *const c_char,
    handle: *mut *mut fieldpress_handle,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        unsafe { pointers::store(handle, "handle", std::ptr::null_mut()) }?;
        // SAFETY: this function's contract.
        let options: Options = unsafe { pointers::text(options, "options") }?.parse()?;
        let new = Box::new(fieldpress_handle { codec: Arc::new(Codec::new(options)?) });
        // SAFETY: this function's contract.
        unsafe { pointers::store(handle, "handle", Box::into_raw(new)) }
    })
}

/// Destroys a handle. No call may be using it. Null is allowed and does nothing.
///
/// # Safety
/// `handle` is null or comes from `fieldpress_create` and has not been destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_destroy(handle: *mut fieldpress_handle) {
    if handle.is_null() {
        return;
    }
    guard(|| {
        // SAFETY: from `Box::into_raw` in `fieldpress_create`, by this function's contract.
        drop(unsafe { Box::from_raw(handle) });
        Ok(())
    });
}

/// The size of a buffer that holds the stream of any such field under any bound.
///
/// field: its dtype, ndim and dims are used; data may be null.
/// bytes: where the size is stored, in bytes.
///
/// # Safety
/// Each pointer is null or valid for its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_compress_bound(
    field: *const fieldpress_field,
    bytes: *mut usize,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let (shape, dtype) = pointers::shape(unsafe { pointers::reference(field, "field") }?)?;
        // SAFETY: this function's contract.
        unsafe { pointers::store(bytes, "bytes", Codec::compress_bound(&shape, dtype)) }
    })
}

/// Compresses a field. When this returns FIELDPRESS_OK, the stream has been decoded and the bound checked on the
/// result.
///
/// handle: from fieldpress_create.
/// field: the field; neither it nor what lies between its elements may change during the call.
/// bound_kind: what is bounded, a fieldpress_bound_kind, or FIELDPRESS_BOUND_RATIO.
/// bound_value: the bound, finite and greater than 0, in the unit of its kind.
/// buffer: where the stream is stored.
/// bytes: on entry the buffer's size, on return the stream's, in bytes. With FIELDPRESS_BUFFER_TOO_SMALL the size that
///   is needed; fieldpress_compress_bound gives one that always suffices.
/// report: what was done, or null. Its member size must be set.
///
/// # Safety
/// Each pointer is null or valid for its type; `field` describes readable memory, `buffer` has `*bytes` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_compress(
    handle: *const fieldpress_handle,
    field: *const fieldpress_field,
    bound_kind: i32,
    bound_value: f64,
    buffer: *mut c_void,
    bytes: *mut usize,
    report: *mut fieldpress_report,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let codec = &unsafe { pointers::reference(handle, "handle") }?.codec;
        // SAFETY: this function's contract.
        let field = unsafe { pointers::view(pointers::reference(field, "field")?) }?;
        let bound = if is_ratio(bound_kind) { None } else { Some(bound_of(bound_kind, bound_value)?) };
        // SAFETY: this function's contract.
        let report = unsafe { Output::optional(report, "report") }?;
        // Before the work: a missing buffer should not cost a compression.
        // SAFETY: this function's contract.
        unsafe { pointers::load_size(bytes, "bytes") }?;
        // SAFETY: this function's contract; no bytes are read.
        unsafe { pointers::bytes(buffer, 0, "buffer") }?;

        let (stream, done) = match bound {
            Some(bound) => codec.compress(&field, bound)?,
            None => codec.compress_to_ratio(&field, bound_value)?,
        };
        // SAFETY: this function's contract; `stream` is a Vec of ours.
        unsafe { pointers::store_bytes(buffer, bytes, &stream, "buffer") }?;
        report.write((&done).into());
        Ok(())
    })
}

/// Decompresses a stream, or a part of it.
///
/// handle: from fieldpress_create; its options need not be those of the compression.
/// stream, stream_bytes: the stream. Bytes from anywhere are safe: damaged ones are found.
/// request: the scale and the box to decode; null for the whole field. A box decodes only the chunks that it touches.
/// output: where the values go: dtype as the stream's, ndim and dims as fieldpress_output_dims says, any strides. It
///   must not overlap the stream. Its values are unspecified after an error; memory between its elements is never
///   changed.
/// report: what was done, or null. Its member size must be set.
///
/// # Safety
/// Each pointer is null or valid for its type; `stream` has `stream_bytes` readable bytes, `output` describes writable
/// memory that nobody else uses during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_decompress(
    handle: *const fieldpress_handle,
    stream: *const c_void,
    stream_bytes: usize,
    request: *const fieldpress_request,
    output: *const fieldpress_field,
    report: *mut fieldpress_report,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let codec = &unsafe { pointers::reference(handle, "handle") }?.codec;
        // SAFETY: this function's contract.
        let stream = unsafe { pointers::bytes(stream, stream_bytes, "stream") }?;
        // SAFETY: this function's contract.
        let request = unsafe { load_request(request) }?;
        // SAFETY: this function's contract.
        let mut output = unsafe { pointers::view_mut(pointers::reference(output, "output")?, stream) }?;
        // SAFETY: this function's contract.
        let report = unsafe { Output::optional(report, "report") }?;

        let done = codec.decompress(stream, &request, &mut output)?;
        report.write((&done).into());
        Ok(())
    })
}

/// The dimensions of what fieldpress_decompress will store for a stream and a request.
///
/// stream, stream_bytes: the stream.
/// request: as for fieldpress_decompress.
/// ndim: where the number of dimensions is stored.
/// dims: where FIELDPRESS_MAX_DIMS sizes are stored, slowest first, 1 beyond ndim. At a scale f, rows and columns start
///   .. start+count of the field become the points floor(start/f) .. ceil((start+count)/f).
///
/// # Safety
/// Each pointer is null or valid for its type; `stream` has `stream_bytes` readable bytes, `dims` has room for
/// `FIELDPRESS_MAX_DIMS` sizes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_output_dims(
    stream: *const c_void,
    stream_bytes: usize,
    request: *const fieldpress_request,
    ndim: *mut u32,
    dims: *mut usize,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let stream = unsafe { pointers::bytes(stream, stream_bytes, "stream") }?;
        // SAFETY: this function's contract.
        let request = unsafe { load_request(request) }?;
        let shape = request.output_shape(&inspect(stream)?)?;
        // SAFETY: this function's contract.
        unsafe { pointers::store(ndim, "ndim", shape.ndim() as u32) }?;
        // SAFETY: this function's contract; an array's address is its first element's.
        unsafe { pointers::store(dims.cast::<[usize; FIELDPRESS_MAX_DIMS]>(), "dims", dims_of(&shape)) }
    })
}

/// Reads a stream's header; decodes nothing.
///
/// stream, stream_bytes: the stream.
/// info: where the header's content is stored. Its member size must be set.
///
/// # Safety
/// Each pointer is null or valid for its type; `stream` has `stream_bytes` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_inspect(
    stream: *const c_void,
    stream_bytes: usize,
    info: *mut fieldpress_info,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let stream = unsafe { pointers::bytes(stream, stream_bytes, "stream") }?;
        // SAFETY: this function's contract.
        let info = unsafe { Output::required(info, "info") }?;
        info.write((&inspect(stream)?).into());
        Ok(())
    })
}

/// What went wrong in the calling thread's last call that failed, as a sentence in UTF-8; "" if none has. Valid until
/// that thread's next call that fails, or its end. Not to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn fieldpress_last_error() -> *const c_char {
    last_error()
}

/// A status as text: "ok", "invalid argument", ...; "unknown status" for other numbers. Not to be freed.
///
/// status: a fieldpress_status.
#[unsafe(no_mangle)]
pub extern "C" fn fieldpress_status_name(status: i32) -> *const c_char {
    let names = [
        c"ok",
        c"invalid argument",
        c"corrupt stream",
        c"unsupported",
        c"model",
        c"runtime",
        c"buffer too small",
        c"input or output",
        c"internal error",
    ];
    usize::try_from(status).ok().and_then(|index| names.get(index)).unwrap_or(&c"unknown status").as_ptr()
}

/// The library's version, "major.minor.patch". Not to be freed.
#[unsafe(no_mangle)]
pub extern "C" fn fieldpress_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// # Safety
/// `request` is null or points to as many readable bytes as its `size` member says.
unsafe fn load_request(request: *const fieldpress_request) -> Result<Request> {
    if request.is_null() {
        return Ok(Request::default());
    }
    // SAFETY: this function's contract.
    let request = unsafe { pointers::load(request, "request") }?;
    let scale = Scale::from_factor(request.scale.max(1) as usize)?;
    Ok(Request { scale, region: pointers::region(&request)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::types::fieldpress_bound_kind::FIELDPRESS_BOUND_ABS;
    use crate::ffi::types::fieldpress_dtype::FIELDPRESS_F32;
    use std::ptr::{null, null_mut};

    const INVALID: fieldpress_status = fieldpress_status::FIELDPRESS_INVALID_ARGUMENT;

    fn field(data: *mut c_void, dims: [usize; 5], strides: [usize; 5]) -> fieldpress_field {
        fieldpress_field { data, dtype: FIELDPRESS_F32 as i32, ndim: 2, dims, strides }
    }

    #[test]
    fn bad_pointers_are_errors() {
        let mut handle = null_mut();
        let mut bytes = 16;
        let mut buffer = [0u8; 16];
        let mut values = [0f32; 8];
        let good = field(values.as_mut_ptr().cast(), [2, 4, 0, 0, 0], [0; 5]);
        let kind = FIELDPRESS_BOUND_ABS as i32;
        // SAFETY: each pointer is null or to a local of its type; misaligned and overflowing ones are not followed.
        unsafe {
            assert_eq!(fieldpress_create(null(), null_mut()), INVALID);
            assert_eq!(fieldpress_create(c"effort=9".as_ptr(), &mut handle), INVALID);
            assert!(handle.is_null());
            assert_eq!(fieldpress_create(null(), &mut handle), fieldpress_status::FIELDPRESS_OK);
            let mut compress = |field: *const fieldpress_field, kind| {
                fieldpress_compress(handle, field, kind, 1.0, buffer.as_mut_ptr().cast(), &mut bytes, null_mut())
            };
            assert_eq!(compress(null(), kind), INVALID);
            assert_eq!(compress(&good, 99), INVALID);
            let odd = good.data.cast::<u8>().wrapping_add(1).cast();
            assert_eq!(compress(&field(odd, good.dims, [0; 5]), kind), INVALID);
            assert_eq!(compress(&field(good.data, [usize::MAX, 2, 0, 0, 0], [0; 5]), kind), INVALID);
            assert_eq!(compress(&field(good.data, good.dims, [usize::MAX, 1, 0, 0, 0]), kind), INVALID);
            assert_eq!(compress(&fieldpress_field { ndim: 6, ..good }, kind), INVALID);
            assert_eq!(compress(&fieldpress_field { dtype: 0, ..good }, kind), INVALID);
            assert_eq!(fieldpress_compress_bound(&good, null_mut()), INVALID);
            fieldpress_destroy(handle);
            fieldpress_destroy(null_mut());
        }
    }

    #[test]
    fn versioned_structs_grow_and_shrink() {
        #[repr(C)]
        struct Newer {
            request: fieldpress_request,
            more: usize,
        }
        let request = fieldpress_request { size: size_of::<Newer>(), scale: 2, ndim: 0, start: [0; 5], count: [0; 5] };
        let mut newer = Newer { request, more: 0 };
        // SAFETY: `size` is that of the whole local.
        unsafe {
            assert_eq!(load_request((&raw const newer).cast()).unwrap().scale, Scale::Half);
            newer.more = 1;
            let error = load_request((&raw const newer).cast()).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Unsupported);
            newer.request.size = 8;
            assert!(load_request((&raw const newer).cast()).is_err());
        }
    }
}
