//! Pointers from C, checked before they are followed: null, alignment, overflow, overlap, and the sizes of structs that
//! differ between versions of the header. All of the C ABI's dereferencing is here.

use super::types::{
    FIELDPRESS_MAX_DIMS, dtype_of, fieldpress_field, fieldpress_info, fieldpress_report, fieldpress_request,
};
use crate::error::{Error, Result};
use crate::field::{DType, FieldView, FieldViewMut, Region, Shape};
use std::ffi::{CStr, c_char, c_void};
use std::ops::Range;

/// A struct of which caller and library may know different versions: members are only ever added at its end.
///
/// # Safety
/// The type is `repr(C)` without padding, begins with `size: usize`, and every bit pattern is a value of it.
pub unsafe trait Versioned: Copy {
    /// `sizeof` in the first header that had it.
    const FIRST_SIZE: usize;
}

// SAFETY: repr(C); usize, 2 × u32, arrays of usize: no padding on 32 and 64 bits, integers only.
unsafe impl Versioned for fieldpress_request {
    const FIRST_SIZE: usize = size_of::<Self>();
}
// SAFETY: repr(C); usize, then u64 and f64 only. Where usize has 4 bytes there may be padding after `size`; it is only
// ever copied as bytes, never read.
unsafe impl Versioned for fieldpress_report {
    const FIRST_SIZE: usize = size_of::<Self>();
}
// SAFETY: as `fieldpress_report`; characters are integers.
unsafe impl Versioned for fieldpress_info {
    const FIRST_SIZE: usize = size_of::<Self>();
}

fn check<T>(pointer: *const T, name: &str) -> Result<()> {
    if pointer.is_null() {
        return Err(Error::invalid(format!("{name} is null")));
    }
    if !pointer.is_aligned() {
        return Err(Error::invalid(format!("{name} is not aligned to {} bytes", align_of::<T>())));
    }
    Ok(())
}

/// What a pointer points to.
///
/// # Errors
/// `InvalidArgument` for one that is null or misaligned.
///
/// # Safety
/// Where `pointer` is neither null nor misaligned, it points to a `T` that nobody writes to during `'a`.
pub unsafe fn reference<'a, T>(pointer: *const T, name: &str) -> Result<&'a T> {
    check(pointer, name)?;
    // SAFETY: not null, aligned; the rest is the caller's promise.
    Ok(unsafe { &*pointer })
}

/// What a pointer points to, to be changed.
///
/// # Safety
/// Where `pointer` is neither null nor misaligned, it points to a `T` that nobody else uses during `'a`.
pub(super) unsafe fn reference_mut<'a, T>(pointer: *mut T, name: &str) -> Result<&'a mut T> {
    check(pointer, name)?;
    // SAFETY: not null, aligned; the rest is the caller's promise.
    Ok(unsafe { &mut *pointer })
}

/// `count` elements; with a count of 0 the pointer may be null.
///
/// # Safety
/// Where `pointer` is neither null nor misaligned, it points to `count` elements that nobody writes to during `'a`.
pub(super) unsafe fn slice<'a, T>(pointer: *const T, count: usize, name: &str) -> Result<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    check(pointer, name)?;
    if count.checked_mul(size_of::<T>()).is_none_or(|bytes| bytes > isize::MAX as usize) {
        return Err(Error::invalid(format!("{name}: {count} elements are more than memory can hold")));
    }
    // SAFETY: not null, aligned, a sane length; the rest is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
}

/// Writes a value of the caller's.
///
/// # Errors
/// `InvalidArgument` for a pointer that is null or misaligned.
///
/// # Safety
/// Where `pointer` is neither null nor misaligned, it is valid for writing a `T`.
pub unsafe fn store<T>(pointer: *mut T, name: &str, value: T) -> Result<()> {
    check(pointer, name)?;
    // SAFETY: not null, aligned; the rest is the caller's promise.
    unsafe { pointer.write(value) };
    Ok(())
}

/// # Safety
/// As [`reference`], for the `usize` that `pointer` points to.
pub(super) unsafe fn load_size(pointer: *const usize, name: &str) -> Result<usize> {
    // SAFETY: the caller's promise.
    unsafe { reference(pointer, name) }.copied()
}

/// Text from C; null is the empty text.
///
/// # Errors
/// `InvalidArgument` for text that is not UTF-8.
///
/// # Safety
/// Where `pointer` is not null, it points to a zero-terminated string that nobody writes to during `'a`.
pub unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str> {
    if pointer.is_null() {
        return Ok("");
    }
    // SAFETY: not null; the rest is the caller's promise.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_| Error::invalid(format!("{name} is not UTF-8")))
}

/// # Safety
/// Where `pointer` is not null, it points to `len` bytes that nobody writes to during `'a`.
pub(super) unsafe fn bytes<'a>(pointer: *const c_void, len: usize, name: &str) -> Result<&'a [u8]> {
    check(pointer.cast::<u8>(), name)?;
    if len > isize::MAX as usize {
        return Err(Error::invalid(format!("{name}: {len} bytes are more than memory can hold")));
    }
    // SAFETY: not null, a sane length; the rest is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(pointer.cast(), len) })
}

/// Copies `data` to the caller's buffer of `*len` bytes, and sets `*len` to the bytes that are needed, which are also
/// those written where they fit.
///
/// # Safety
/// `len` and `buffer`, unless null, are valid for writing a `usize` and `*len` bytes; neither overlaps `data`.
pub(super) unsafe fn store_bytes(buffer: *mut c_void, len: *mut usize, data: &[u8], name: &str) -> Result<()> {
    // SAFETY: the caller's promise.
    let room = unsafe { load_size(len, "the buffer's size") }?;
    // SAFETY: as above.
    unsafe { store(len, "the buffer's size", data.len()) }?;
    if room < data.len() {
        return Err(Error::new(
            crate::ErrorKind::BufferTooSmall,
            format!("{name} has {room} bytes; {} are needed", data.len()),
        ));
    }
    check(buffer.cast::<u8>(), name)?;
    // SAFETY: not null, `room` bytes are the caller's promise, and a Vec of ours cannot overlap the caller's buffer.
    unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), buffer.cast(), data.len()) };
    Ok(())
}

/// The caller's `size` member, checked.
///
/// # Safety
/// Where `pointer` is neither null nor misaligned, it points to a struct that begins with a `usize`.
unsafe fn caller_size<T: Versioned>(pointer: *const T, name: &str) -> Result<usize> {
    check(pointer, name)?;
    // SAFETY: not null, aligned for `T`, whose first member is a `usize`.
    let size = unsafe { pointer.cast::<usize>().read() };
    if size < T::FIRST_SIZE || size > isize::MAX as usize {
        return Err(Error::invalid(format!("{name}->size is {size}; expected its sizeof, at least {}", T::FIRST_SIZE)));
    }
    Ok(size)
}

/// A versioned struct from C: members that an older caller does not have are zero; a newer caller's further members
/// must be zero, as this library cannot do what they ask.
///
/// # Safety
/// Where `pointer` is not null, it points to as many readable bytes as its `size` member says.
pub(super) unsafe fn load<T: Versioned>(pointer: *const T, name: &str) -> Result<T> {
    // SAFETY: the caller's promise.
    let size = unsafe { caller_size(pointer, name) }?;
    // SAFETY: `size` bytes are readable, by the caller's promise.
    let given = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), size) };
    let known = size.min(size_of::<T>());
    if given[known..].iter().any(|&byte| byte != 0) {
        return Err(Error::new(
            crate::ErrorKind::Unsupported,
            format!("{name} sets members that fieldpress {} does not know", env!("CARGO_PKG_VERSION")),
        ));
    }
    // SAFETY: every bit pattern, zeros among them, is a value of a `Versioned` type.
    let mut value: T = unsafe { std::mem::zeroed() };
    // SAFETY: `known` bytes fit both sides, and `value` is a local.
    unsafe { std::ptr::copy_nonoverlapping(given.as_ptr(), (&raw mut value).cast(), known) };
    Ok(value)
}

/// A versioned struct of the caller's that a call fills in at its end.
pub(super) struct Output<T> {
    target: Option<(*mut T, usize)>,
}

impl<T: Versioned> Output<T> {
    /// Checks before the work is done.
    ///
    /// # Safety
    /// Where `pointer` is not null, it points to as many writable bytes as its `size` member says, during `Self`'s
    /// life.
    pub(super) unsafe fn required(pointer: *mut T, name: &str) -> Result<Self> {
        // SAFETY: the caller's promise.
        let size = unsafe { caller_size(pointer.cast_const(), name) }?;
        Ok(Self { target: Some((pointer, size)) })
    }

    /// As [`Output::required`], but null is allowed and takes nothing.
    ///
    /// # Safety
    /// As [`Output::required`].
    pub(super) unsafe fn optional(pointer: *mut T, name: &str) -> Result<Self> {
        if pointer.is_null() {
            return Ok(Self { target: None });
        }
        // SAFETY: the caller's promise.
        unsafe { Self::required(pointer, name) }
    }

    /// Fills in what the caller's version has, zeros what only it knows, and keeps its `size`.
    pub(super) fn write(self, value: T) {
        let Some((pointer, size)) = self.target else { return };
        let known = size.min(size_of::<T>());
        let from = (&raw const value).cast::<u8>();
        // SAFETY: `size` bytes at `pointer` are writable by the promise of `required`; `value` is a local of
        // `size_of::<T>()` bytes; the `size` member lies before what is written.
        unsafe {
            let to = pointer.cast::<u8>();
            let head = size_of::<usize>();
            std::ptr::copy_nonoverlapping(from.add(head), to.add(head), known - head);
            to.add(known).write_bytes(0, size - known);
        }
    }
}

/// A field descriptor, checked: shape, type, strides, and the number of elements from the first to the last.
struct Layout {
    shape: Shape,
    dtype: DType,
    strides: [usize; FIELDPRESS_MAX_DIMS],
    span: usize,
}

/// The shape of a field descriptor.
pub(super) fn shape(field: &fieldpress_field) -> Result<(Shape, DType)> {
    let dims = field.dims.get(..field.ndim as usize).ok_or_else(|| {
        Error::invalid(format!("the field has ndim {}; expected 1 to {FIELDPRESS_MAX_DIMS}", field.ndim))
    })?;
    Ok((Shape::new(dims)?, dtype_of(field.dtype)?))
}

fn layout(field: &fieldpress_field) -> Result<Layout> {
    let (shape, dtype) = shape(field)?;
    let given = &field.strides[..shape.ndim()];
    let strides = if given.iter().all(|&stride| stride == 0) { shape.contiguous_strides() } else { field.strides };
    let span = shape
        .dims()
        .iter()
        .zip(&strides)
        .try_fold(1usize, |span, (&n, &stride)| (n - 1).checked_mul(stride)?.checked_add(span))
        .filter(|span| span.checked_mul(dtype.size()).is_some_and(|bytes| bytes <= isize::MAX as usize))
        .ok_or_else(|| Error::invalid("the field's strides reach beyond the address space"))?;
    match dtype {
        DType::F32 => check(field.data.cast::<f32>(), "field->data")?,
        DType::F64 => check(field.data.cast::<f64>(), "field->data")?,
    }
    Ok(Layout { shape, dtype, strides, span })
}

/// A view of a field to be compressed.
///
/// # Safety
/// Where the descriptor's `data` is neither null nor misaligned, the elements that its sizes and strides reach, and
/// those between them, are readable and nobody writes to them during `'a`.
pub(super) unsafe fn view<'a>(field: &fieldpress_field) -> Result<FieldView<'a>> {
    let Layout { shape, dtype, strides, span } = layout(field)?;
    let strides = &strides[..shape.ndim()];
    match dtype {
        DType::F32 => {
            // SAFETY: not null, aligned, `span` elements fit the address space; the rest is the caller's promise.
            let values = unsafe { std::slice::from_raw_parts(field.data.cast::<f32>(), span) };
            FieldView::strided(values, shape.dims(), strides)
        }
        DType::F64 => {
            // SAFETY: as for f32.
            let values = unsafe { std::slice::from_raw_parts(field.data.cast::<f64>(), span) };
            FieldView::strided(values, shape.dims(), strides)
        }
    }
}

/// A view of a field to write to, which must not overlap `input`.
///
/// # Safety
/// As [`view`], for writing: nobody else reads or writes there during `'a`.
pub(super) unsafe fn view_mut<'a>(field: &fieldpress_field, input: &[u8]) -> Result<FieldViewMut<'a>> {
    let Layout { shape, dtype, strides, span } = layout(field)?;
    let start = field.data.addr();
    let inputs = input.as_ptr_range();
    if overlap(start..start.saturating_add(span * dtype.size()), inputs.start.addr()..inputs.end.addr()) {
        return Err(Error::invalid("the output field overlaps the stream"));
    }
    let strides = &strides[..shape.ndim()];
    match dtype {
        DType::F32 => {
            // SAFETY: not null, aligned, `span` elements fit the address space, apart from the input; the rest is the
            // caller's promise.
            let values = unsafe { std::slice::from_raw_parts_mut(field.data.cast::<f32>(), span) };
            FieldViewMut::strided(values, shape.dims(), strides)
        }
        DType::F64 => {
            // SAFETY: as for f32.
            let values = unsafe { std::slice::from_raw_parts_mut(field.data.cast::<f64>(), span) };
            FieldViewMut::strided(values, shape.dims(), strides)
        }
    }
}

fn overlap(a: Range<usize>, b: Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// The box of a request, if it has one.
pub(super) fn region(request: &fieldpress_request) -> Result<Option<Region>> {
    let n = request.ndim as usize;
    if n == 0 {
        return Ok(None);
    }
    match (request.start.get(..n), request.count.get(..n)) {
        (Some(start), Some(count)) => Ok(Some(Region { start: start.to_vec(), count: count.to_vec() })),
        _ => Err(Error::invalid(format!("the box has ndim {n}; expected 0 to {FIELDPRESS_MAX_DIMS}"))),
    }
}
