//! Writing.

use super::types::{FIELDPRESS_ARCHIVE_ITSELF, fieldpress_archive, fieldpress_step_report};
use crate::archive::{Attribute, Serial, StepReport, VariableId, VariableInfo, Writer};
use crate::error::{Error, Result};
use crate::ffi::guard::guard;
use crate::ffi::pointers::{self, Output};
use crate::ffi::types::{FIELDPRESS_MAX_DIMS, bound_of, dtype_of, fieldpress_field, fieldpress_status};
use crate::field::Shape;
use std::ffi::c_char;
use std::path::Path;

/// Creates an archive written by this process alone, or opens it for appending. Programs that use MPI call
/// fieldpress_archive_open (fieldpress_mpi.h) instead; all other calls are the same.
///
/// path: the file.
/// options: "key=value" pairs separated by semicolons; null or "" for the defaults. The keys of fieldpress_create, and:
///   mode            create (default; an existing file is an error), replace (the old file stays until the first step of
///                   the new one is committed) or append (steps are added; created where there is none)
///   keep            with mode=append: how many steps to keep, for a restart from an earlier one
///   window          steps that are kept in memory and coded together, default 1. A crash loses those not committed yet:
///                   up to one less than this, and the step in progress
///   keyframe        windows from one that needs none before it to the next, default 8
///   ranks_per_file  ranks that share a data file beside the archive; default 0: one file
///   embed_model     on: the model package is put into the archive; default off
///   sync            off: do not wait for stable storage at a commit; default on
///   lock            off: no lock keeps other writers away; default on
///   write           gathered (default): one rank of each node writes the node's data; collective: MPI's collective
///                   buffering
///   hints           for MPI-IO, "key:value" pairs separated by commas, for example cb_nodes:4
/// archive: where the new handle is stored; null is stored on failure.
///
/// # Safety
/// `path` and `options` are null or zero-terminated strings; `archive` is null or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_archive_open_serial(
    path: *const c_char,
    options: *const c_char,
    archive: *mut *mut fieldpress_archive,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        unsafe { pointers::store(archive, "archive", std::ptr::null_mut()) }?;
        // SAFETY: this function's contract.
        let path = unsafe { pointers::text(path, "path") }?;
        // SAFETY: this function's contract.
        let options = unsafe { pointers::text(options, "options") }?.parse()?;
        let writer = Writer::open(Box::new(Serial), Path::new(path), options)?;
        // SAFETY: this function's contract.
        unsafe { pointers::store(archive, "archive", fieldpress_archive::new(writer)) }
    })
}

/// Defines a variable; the same on all ranks, and not during a step.
///
/// archive: from fieldpress_archive_open.
/// name: 1 to 255 bytes of UTF-8, unique.
/// dtype: the type of its values, a fieldpress_dtype.
/// ndim, dims: sizes of the global domain, slowest first. At most FIELDPRESS_MAX_DIMS, one less with window > 1.
/// variable: where its number is stored.
///
/// # Safety
/// Each pointer is null or valid for its type; `dims` has `ndim` sizes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_archive_define(
    archive: *mut fieldpress_archive,
    name: *const c_char,
    dtype: i32,
    ndim: u32,
    dims: *const usize,
    variable: *mut u32,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let writer = unsafe { writer(archive) }?;
        if ndim == 0 || ndim as usize > FIELDPRESS_MAX_DIMS {
            return Err(Error::invalid(format!("ndim is {ndim}; expected 1 to {FIELDPRESS_MAX_DIMS}")));
        }
        // SAFETY: this function's contract.
        let (name, dims) =
            unsafe { (pointers::text(name, "name")?.to_owned(), pointers::slice(dims, ndim as usize, "dims")?) };
        let (shape, dtype) = (Shape::new(dims)?, dtype_of(dtype)?);
        let id = writer.define(VariableInfo { name, shape, dtype, attributes: Vec::new() })?;
        // SAFETY: this function's contract.
        unsafe { pointers::store(variable, "variable", id.number() as u32) }
    })
}

/// Sets an attribute to a text; the same on all ranks, and not during a step.
///
/// archive: from fieldpress_archive_open.
/// variable: a variable's number, or FIELDPRESS_ARCHIVE_ITSELF.
/// name, value: UTF-8.
///
/// # Safety
/// Each pointer is null or valid for its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_archive_set_text(
    archive: *mut fieldpress_archive,
    variable: u32,
    name: *const c_char,
    value: *const c_char,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let value = unsafe { pointers::text(value, "value") }?.to_owned();
        // SAFETY: this function's contract.
        unsafe { set(archive, variable, name, Attribute::Text(value)) }
    })
}

/// Sets an attribute to numbers; the same on all ranks, and not during a step.
///
/// archive: from fieldpress_archive_open.
/// variable: a variable's number, or FIELDPRESS_ARCHIVE_ITSELF.
/// name: UTF-8.
/// count, values: the numbers.
///
/// # Safety
/// Each pointer is null or valid for its type; `values` has `count` numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_archive_set_reals(
    archive: *mut fieldpress_archive,
    variable: u32,
    name: *const c_char,
    count: usize,
    values: *const f64,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let values = unsafe { pointers::slice(values, count, "values") }?.to_vec();
        // SAFETY: this function's contract.
        unsafe { set(archive, variable, name, Attribute::Reals(values)) }
    })
}

/// Sets an attribute to whole numbers; the same on all ranks, and not during a step.
///
/// archive: from fieldpress_archive_open.
/// variable: a variable's number, or FIELDPRESS_ARCHIVE_ITSELF.
/// name: UTF-8.
/// count, values: the numbers.
///
/// # Safety
/// Each pointer is null or valid for its type; `values` has `count` numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_archive_set_integers(
    archive: *mut fieldpress_archive,
    variable: u32,
    name: *const c_char,
    count: usize,
    values: *const i64,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let values = unsafe { pointers::slice(values, count, "values") }?.to_vec();
        // SAFETY: this function's contract.
        unsafe { set(archive, variable, name, Attribute::Integers(values)) }
    })
}

/// Begins a step; the same on all ranks. Communicates nothing.
///
/// archive: from fieldpress_archive_open.
/// time: what the step is, usually the simulated time.
///
/// # Safety
/// `archive` is null or an open archive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_archive_begin_step(
    archive: *mut fieldpress_archive,
    time: f64,
) -> fieldpress_status {
    // SAFETY: this function's contract.
    guard(|| unsafe { writer(archive) }?.begin_step(time))
}

/// Gives this rank's values in a box of a variable. They are copied. Communicates nothing; a rank may put any number of
/// boxes, also none. Boxes of different puts, on any ranks, must not overlap: leave out halo cells (by the field's
/// strides). After an error, all ranks still call fieldpress_archive_end_step, which gives all of them this error.
///
/// archive: from fieldpress_archive_open.
/// variable: its number.
/// start: first index of the box along each dimension of the global domain.
/// field: the values; its ndim and dims are the box's, which lies inside the domain.
/// bound_kind, bound_value: as for fieldpress_compress, but the range and the errors are those of the global field: all
///   ranks together meet the bound. The same for all puts of a variable, until a window of steps is committed.
///
/// # Safety
/// Each pointer is null or valid for its type; `start` has as many indices as `field` has dimensions; `field` describes
/// readable memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_archive_put(
    archive: *mut fieldpress_archive,
    variable: u32,
    start: *const usize,
    field: *const fieldpress_field,
    bound_kind: i32,
    bound_value: f64,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let writer = unsafe { writer(archive) }?;
        let put = || {
            // SAFETY: this function's contract.
            let field = unsafe { pointers::view(pointers::reference(field, "field")?) }?;
            let what = "the box's start, an index for each dimension of its field,";
            // SAFETY: this function's contract.
            let start = unsafe { pointers::slice(start, field.shape().ndim(), what) }?;
            Ok((start, field, bound_of(bound_kind, bound_value)?))
        };
        match put() {
            Ok((start, field, bound)) => writer.put(VariableId::from_number(variable as usize), start, &field, bound),
            Err(error) => Err(writer.refuse(error)),
        }
    })
}

/// Ends the step; collective. Where the window of steps is full (always, with window=1), they are committed: when this
/// returns, they are in the file, and no crash loses them. After an error the step is dropped, on all ranks, and the
/// next one may begin; where the window itself cannot be committed (boxes that overlap, a bound that is not that of
/// another rank, a full disk), all of its steps are dropped.
///
/// archive: from fieldpress_archive_open.
/// report: what was done, or null. Its member size must be set.
///
/// # Safety
/// Each pointer is null or valid for its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_archive_end_step(
    archive: *mut fieldpress_archive,
    report: *mut fieldpress_step_report,
) -> fieldpress_status {
    // SAFETY: this function's contract.
    guard(|| unsafe { reported(archive, report, Writer::end_step) })
}

/// Commits the steps of a window that is not full; collective.
///
/// archive: from fieldpress_archive_open.
/// report: what was done, or null. Its member size must be set.
///
/// # Safety
/// Each pointer is null or valid for its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_archive_flush(
    archive: *mut fieldpress_archive,
    report: *mut fieldpress_step_report,
) -> fieldpress_status {
    // SAFETY: this function's contract.
    guard(|| unsafe { reported(archive, report, Writer::flush) })
}

/// How many steps are committed; after opening with mode=append, where to go on.
///
/// archive: from fieldpress_archive_open.
/// steps: where the number is stored.
///
/// # Safety
/// Each pointer is null or valid for its type.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_archive_committed_steps(
    archive: *mut fieldpress_archive,
    steps: *mut u64,
) -> fieldpress_status {
    guard(|| {
        // SAFETY: this function's contract.
        let committed = unsafe { writer(archive) }?.committed_steps();
        // SAFETY: this function's contract.
        unsafe { pointers::store(steps, "steps", committed) }
    })
}

/// Commits what is not committed yet and closes the archive; collective. The handle is gone afterwards, also after an
/// error. Null is allowed and does nothing.
///
/// # Safety
/// `archive` is null or an open archive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fieldpress_archive_close(archive: *mut fieldpress_archive) -> fieldpress_status {
    guard(|| {
        if archive.is_null() {
            return Ok(());
        }
        // SAFETY: from `fieldpress_archive::new`, by this function's contract.
        let archive = unsafe { Box::from_raw(archive) };
        archive.writer.close().map(drop)
    })
}

/// # Safety
/// `archive` is null or an open archive that nobody else uses during `'a`.
unsafe fn writer<'a>(archive: *mut fieldpress_archive) -> Result<&'a mut Writer> {
    // SAFETY: this function's contract.
    Ok(&mut unsafe { pointers::reference_mut(archive, "archive") }?.writer)
}

/// Makes a collective call, and stores its report where one is wanted.
///
/// # Safety
/// `archive` is null or an open archive; `report` is null or valid for its type.
unsafe fn reported(
    archive: *mut fieldpress_archive,
    report: *mut fieldpress_step_report,
    call: fn(&mut Writer) -> Result<StepReport>,
) -> Result<()> {
    // SAFETY: this function's contract.
    let writer = unsafe { writer(archive) }?;
    // SAFETY: this function's contract.
    let report = unsafe { Output::optional(report, "report") };
    // Whatever the report is, the call is made: the other ranks wait in it.
    let done = call(writer)?;
    report?.write((&done).into());
    Ok(())
}

/// # Safety
/// `archive` is null or an open archive; `name` is null or a zero-terminated string.
unsafe fn set(archive: *mut fieldpress_archive, variable: u32, name: *const c_char, value: Attribute) -> Result<()> {
    // SAFETY: this function's contract.
    let writer = unsafe { writer(archive) }?;
    // SAFETY: this function's contract.
    let name = unsafe { pointers::text(name, "name") }?;
    let variable = (variable != FIELDPRESS_ARCHIVE_ITSELF).then(|| VariableId::from_number(variable as usize));
    writer.set_attribute(variable, name, value)
}
