//! Reading.

use super::types::{FIELDPRESS_ARCHIVE_ITSELF, fieldpress_reader, fieldpress_variable};
use crate::archive::{Attribute, Reader, Selection};
use crate::error::{Error, ErrorKind, Result};
use crate::ffi::guard::guard;
use crate::ffi::pointers::{self, Output};
use crate::ffi::types::{dims_of, fieldpress_dtype, fieldpress_field, fieldpress_status, text_of};
use crate::field::Region;
use std::ffi::{c_char, c_void};
use std::path::Path;

/// Opens an archive for reading; needs no MPI, and any number of processes may do so, also while it is written.
///
/// path: the file.
/// options: as for fieldpress_create, among them trust_embedded_model; null or "" for the defaults.
/// reader: where the new handle is stored; null is stored on failure.
///
/// # Safety
/// `path` and `options` are null or zero-terminated strings; `reader` is null or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_reader_open(
    path: *const c_char,
    options: *const c_char,
    reader: *mut *mut fieldpress_reader,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        unsafe { pointers::store(reader, "reader", std::ptr::null_mut()) }?;
        // SAFETY: this function's contract.
        let path = unsafe { pointers::text(path, "path") }?;
        // SAFETY: this function's contract.
        let options = unsafe { pointers::text(options, "options") }?.parse()?;
        let new = Reader::open_with(Path::new(path), options)?;
        // SAFETY: this function's contract.
        unsafe { pointers::store(reader, "reader", fieldpress_reader::new(new)) }
    })
}

/// Closes a reader. Null is allowed and does nothing.
///
/// # Safety
/// `reader` is null or comes from `fieldpress_reader_open` and has not been closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_reader_close(reader: *mut fieldpress_reader) {
    if reader.is_null() {
        return;
    }
    guard(|| {
        // SAFETY: from `Box::into_raw` in `fieldpress_reader_open`, by this function's contract.
        drop(unsafe { Box::from_raw(reader) });
        Ok(())
    });
}

/// How many variables and steps an archive has.
///
/// reader: from fieldpress_reader_open.
/// variables, steps: where the numbers are stored, or null.
///
/// # Safety
/// Each pointer is null or valid for its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_reader_counts(
    reader: *const fieldpress_reader,
    variables: *mut u32,
    steps: *mut u64,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let reader = unsafe { handle(reader) }?;
        if !variables.is_null() {
            // SAFETY: this function's contract.
            unsafe { pointers::store(variables, "variables", reader.definitions().variables.len() as u32) }?;
        }
        if !steps.is_null() {
            // SAFETY: this function's contract.
            unsafe { pointers::store(steps, "steps", reader.steps()) }?;
        }
        Ok(())
    })
}

/// The number of the variable of a name.
///
/// reader: from fieldpress_reader_open.
/// name: its name.
/// variable: where its number is stored.
///
/// # Safety
/// Each pointer is null or valid for its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_reader_find(
    reader: *const fieldpress_reader,
    name: *const c_char,
    variable: *mut u32,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let number = unsafe { handle(reader)?.definitions().number(pointers::text(name, "name")?) }?;
        // SAFETY: this function's contract.
        unsafe { pointers::store(variable, "variable", number as u32) }
    })
}

/// Name, type and shape of a variable.
///
/// reader: from fieldpress_reader_open.
/// variable: its number, from 0.
/// info: where they are stored. Its member size must be set.
///
/// # Safety
/// Each pointer is null or valid for its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_reader_variable(
    reader: *const fieldpress_reader,
    variable: u32,
    info: *mut fieldpress_variable,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let reader = unsafe { handle(reader) }?;
        // SAFETY: this function's contract.
        let info = unsafe { Output::required(info, "info") }?;
        let found = reader.variable(variable as usize)?;
        info.write(fieldpress_variable {
            size: size_of::<fieldpress_variable>(),
            dtype: fieldpress_dtype::from(found.dtype) as i32,
            ndim: found.shape.ndim() as u32,
            dims: dims_of(&found.shape),
            name: text_of(&found.name),
        });
        Ok(())
    })
}

/// What the writer said that a step is, usually the simulated time.
///
/// reader: from fieldpress_reader_open.
/// step: its number, from 0.
/// time: where it is stored.
///
/// # Safety
/// Each pointer is null or valid for its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_reader_time(
    reader: *const fieldpress_reader,
    step: u64,
    time: *mut f64,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let found = unsafe { handle(reader) }?.time(step)?;
        // SAFETY: this function's contract.
        unsafe { pointers::store(time, "time", found) }
    })
}

/// An attribute's text.
///
/// reader: from fieldpress_reader_open.
/// variable: a variable's number, or FIELDPRESS_ARCHIVE_ITSELF.
/// name: the attribute's name.
/// buffer: where the text is stored, with a terminating zero.
/// bytes: on entry the buffer's size, on return the text's, with the zero. With FIELDPRESS_BUFFER_TOO_SMALL the size
///   that is needed.
///
/// # Safety
/// Each pointer is null or valid for its type; `buffer` has `*bytes` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_reader_get_text(
    reader: *const fieldpress_reader,
    variable: u32,
    name: *const c_char,
    buffer: *mut c_char,
    bytes: *mut usize,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        match unsafe { attribute(reader, variable, name) }? {
            Attribute::Text(text) => {
                let text: Vec<u8> = text.bytes().filter(|&byte| byte != 0).chain([0]).collect();
                // SAFETY: this function's contract; `text` is a Vec of ours.
                unsafe { pointers::store_bytes(buffer.cast::<c_void>(), bytes, &text, "buffer") }
            }
            _ => Err(Error::invalid("the attribute is no text")),
        }
    })
}

/// An attribute's numbers, whole ones as double.
///
/// reader: from fieldpress_reader_open.
/// variable: a variable's number, or FIELDPRESS_ARCHIVE_ITSELF.
/// name: the attribute's name.
/// values: where the numbers are stored.
/// count: on entry how many there is room for, on return how many there are. With FIELDPRESS_BUFFER_TOO_SMALL how many
///   there must be room for.
///
/// # Safety
/// Each pointer is null or valid for its type; `values` has room for `*count` numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_reader_get_reals(
    reader: *const fieldpress_reader,
    variable: u32,
    name: *const c_char,
    values: *mut f64,
    count: *mut usize,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let numbers: Vec<f64> = match unsafe { attribute(reader, variable, name) }? {
            Attribute::Reals(values) => values.clone(),
            Attribute::Integers(values) => values.iter().map(|&value| value as f64).collect(),
            Attribute::Text(_) => return Err(Error::invalid("the attribute is a text, not numbers")),
        };
        // SAFETY: this function's contract.
        let room = unsafe { pointers::load_size(count, "count") }?;
        // SAFETY: this function's contract.
        unsafe { pointers::store(count, "count", numbers.len()) }?;
        if room < numbers.len() {
            let message = format!("values has room for {room} numbers; {} are needed", numbers.len());
            return Err(Error::new(ErrorKind::BufferTooSmall, message));
        }
        for (k, &number) in numbers.iter().enumerate() {
            // SAFETY: `room` numbers fit, by this function's contract.
            unsafe { pointers::store(values.wrapping_add(k), "values", number) }?;
        }
        Ok(())
    })
}

/// Reads a part of a variable: a step, a box of it, or a series of steps. Reads and decodes only the chunks that it
/// touches.
///
/// reader: from fieldpress_reader_open.
/// variable: its number.
/// first_step, steps: the steps, from 0.
/// start, count: the box in the global domain, as many indices as the variable has dimensions; both null: the whole
///   domain.
/// missing: what points get that no rank put; null: such points are an error.
/// output: where the values go: dtype as the variable's; dims those of the box, for several steps after their number;
///   any strides. Unspecified after an error.
///
/// # Safety
/// Each pointer is null or valid for its type; `start` and `count` have as many elements as the variable has
/// dimensions; `output` describes writable memory that nobody else uses during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_reader_read(
    reader: *const fieldpress_reader,
    variable: u32,
    first_step: u64,
    steps: u64,
    start: *const usize,
    count: *const usize,
    missing: *const f64,
    output: *const fieldpress_field,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let reader = unsafe { handle(reader) }?;
        let ndim = reader.variable(variable as usize)?.shape.ndim();
        let region = if start.is_null() && count.is_null() {
            None
        } else {
            // SAFETY: this function's contract.
            let (start, count) =
                unsafe { (pointers::slice(start, ndim, "start")?, pointers::slice(count, ndim, "count")?) };
            Some(Region { start: start.to_vec(), count: count.to_vec() })
        };
        let missing = if missing.is_null() {
            None
        } else {
            // SAFETY: this function's contract.
            Some(*unsafe { pointers::reference(missing, "missing") }?)
        };
        // SAFETY: this function's contract; there is no input to overlap with.
        let mut output = unsafe { pointers::view_mut(pointers::reference(output, "output")?, &[]) }?;
        let selection = Selection { steps: first_step..first_step.saturating_add(steps), region, missing };
        reader.read(variable as usize, &selection, &mut output)
    })
}

/// # Safety
/// `reader` is null or an open reader.
unsafe fn handle<'a>(reader: *const fieldpress_reader) -> Result<&'a Reader> {
    // SAFETY: this function's contract.
    Ok(&unsafe { pointers::reference(reader, "reader") }?.reader)
}

/// # Safety
/// `reader` is null or an open reader; `name` is null or a zero-terminated string.
unsafe fn attribute<'a>(reader: *const fieldpress_reader, variable: u32, name: *const c_char) -> Result<&'a Attribute> {
    // SAFETY: this function's contract.
    let reader = unsafe { handle(reader) }?;
    // SAFETY: this function's contract.
    let name = unsafe { pointers::text(name, "name") }?;
    let attributes = match variable {
        FIELDPRESS_ARCHIVE_ITSELF => &reader.definitions().attributes,
        number => &reader.variable(number as usize)?.attributes,
    };
    attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value).ok_or_else(|| {
        let names: Vec<&str> = attributes.iter().map(|(name, _)| name.as_str()).collect();
        Error::invalid(format!("there is no attribute '{name}'; there are: {}", names.join(", ")))
    })
}
