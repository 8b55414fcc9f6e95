//! NetCDF files as datasets are copied: groups, dimensions, types, variables and their storage, by identifiers. A thin
//! layer over libnetcdf, since the `netcdf` crate has neither identifiers nor filters.

mod variable;

pub use variable::{Box, Storage, Values, Variable};

use netcdf_sys as sys;
use std::ffi::{CStr, CString};
use std::fmt;
use std::marker::PhantomData;
use std::os::raw::{c_char, c_int};
use std::path::Path;

/// What libnetcdf names dimensions, types and variables by.
pub type Id = c_int;

/// The variable whose attributes are a group's.
pub const GLOBAL: Id = sys::NC_GLOBAL;

/// What libnetcdf says went wrong.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub type Result<T> = std::result::Result<T, Error>;

/// Runs one call of libnetcdf under the lock that its users in a process share.
fn call(function: impl FnOnce() -> c_int) -> Result<()> {
    let _lock = sys::libnetcdf_lock.lock();
    let code = function();
    if code == sys::NC_NOERR {
        return Ok(());
    }
    // SAFETY: libnetcdf answers every code by a static, terminated text.
    let text = unsafe { CStr::from_ptr(sys::nc_strerror(code)) };
    Err(Error(text.to_string_lossy().into_owned()))
}

/// A name that libnetcdf writes.
fn name(fill: impl FnOnce(*mut c_char) -> c_int) -> Result<CString> {
    let mut buffer = [0u8; sys::NC_MAX_NAME as usize + 1];
    call(|| fill(buffer.as_mut_ptr().cast()))?;
    let name = CStr::from_bytes_until_nul(&buffer).map_err(|_| Error("a name has no end".into()))?;
    Ok(name.to_owned())
}

/// A list of identifiers, whose length is asked for first.
fn ids(list: impl Fn(*mut c_int, *mut c_int) -> c_int) -> Result<Vec<Id>> {
    let mut count = 0;
    call(|| list(&mut count, std::ptr::null_mut()))?;
    let mut ids = vec![0; usize::try_from(count).unwrap_or(0)];
    call(|| list(&mut count, ids.as_mut_ptr()))?;
    Ok(ids)
}

/// An open file; closed when it is dropped.
#[derive(Debug)]
pub struct File {
    id: Id,
}

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// What libnetcdf says.
    pub fn open(path: &Path) -> Result<Self> {
        let (path, mut id) = (c_path(path)?, 0);
        // SAFETY: the path is terminated, and `id` outlives the call.
        call(|| unsafe { sys::nc_open(path.as_ptr(), sys::NC_NOWRITE, &mut id) })?;
        Ok(Self { id })
    }

    /// Makes a NetCDF-4 file, in place of one that is there.
    ///
    /// # Errors
    /// What libnetcdf says.
    pub fn create(path: &Path) -> Result<Self> {
        let (path, mut id) = (c_path(path)?, 0);
        // SAFETY: as in `open`.
        call(|| unsafe { sys::nc_create(path.as_ptr(), sys::NC_NETCDF4 | sys::NC_CLOBBER, &mut id) })?;
        Ok(Self { id })
    }

    /// Whether it is an HDF5 file, whose variables have chunks and filters.
    ///
    /// # Errors
    /// What libnetcdf says.
    pub fn is_hdf5(&self) -> Result<bool> {
        let (mut form, mut mode) = (0, 0);
        // SAFETY: both outlive the call.
        call(|| unsafe { sys::nc_inq_format_extended(self.id, &mut form, &mut mode) })?;
        Ok(form == sys::NC_FORMATX_NC_HDF5)
    }

    /// Ends defining: makes the datasets of all variables.
    ///
    /// # Errors
    /// What libnetcdf says; a filter may have refused its parameters.
    pub fn end_definitions(&self) -> Result<()> {
        // SAFETY: the file is open.
        call(|| unsafe { sys::nc_enddef(self.id) })
    }

    /// Writes everything and closes.
    ///
    /// # Errors
    /// What libnetcdf says.
    pub fn close(self) -> Result<()> {
        let id = self.id;
        std::mem::forget(self);
        // SAFETY: the file is open, and nothing names it any more.
        call(|| unsafe { sys::nc_close(id) })
    }

    /// The group that holds everything.
    pub fn root(&self) -> Group<'_> {
        Group { id: self.id, file: PhantomData }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: the file is open, and nothing names it any more. Only a reader, or a file that is given up, gets here.
        let _closed = call(|| unsafe { sys::nc_close(self.id) });
    }
}

fn c_path(path: &Path) -> Result<CString> {
    CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| Error("a path contains a zero byte".into()))
}

/// A group of an open file.
#[derive(Clone, Copy, Debug)]
pub struct Group<'f> {
    id: Id,
    file: PhantomData<&'f File>,
}

/// A dimension.
#[derive(Clone, Debug)]
pub struct Dimension {
    pub id: Id,
    pub name: CString,
    pub len: usize,
    pub is_unlimited: bool,
}

/// A type that a file defines.
#[derive(Clone, Debug)]
pub enum UserType {
    /// Bytes without a meaning.
    Opaque { size: usize },
    /// Integers with names: each name, and the bytes of its value.
    Enum { base: Id, members: Vec<(CString, Vec<u8>)> },
    /// Of variable length, or of several fields.
    Other,
}

impl<'f> Group<'f> {
    /// Its name; `/` for the root.
    ///
    /// # Errors
    /// What libnetcdf says, as everything below.
    pub fn name(&self) -> Result<CString> {
        // SAFETY: the buffer has room for the longest name.
        name(|to| unsafe { sys::nc_inq_grpname(self.id, to) })
    }

    pub fn groups(&self) -> Result<Vec<Self>> {
        // SAFETY: the list is null or as long as the count that was asked for.
        let ids = ids(|count, list| unsafe { sys::nc_inq_grps(self.id, count, list) })?;
        Ok(ids.into_iter().map(|id| Self { id, file: PhantomData }).collect())
    }

    pub fn define_group(&self, name: &CStr) -> Result<Self> {
        let mut id = 0;
        // SAFETY: the name is terminated, and `id` outlives the call; so in all definitions below.
        call(|| unsafe { sys::nc_def_grp(self.id, name.as_ptr(), &mut id) })?;
        Ok(Self { id, file: PhantomData })
    }

    /// The dimensions of this group alone.
    pub fn dimensions(&self) -> Result<Vec<Dimension>> {
        // SAFETY: as in `groups`.
        let all = ids(|count, list| unsafe { sys::nc_inq_dimids(self.id, count, list, 0) })?;
        // SAFETY: as above.
        let unlimited = ids(|count, list| unsafe { sys::nc_inq_unlimdims(self.id, count, list) })?;
        let one = |id| {
            let (name, len) = self.dimension(id)?;
            Ok(Dimension { id, name, len, is_unlimited: unlimited.contains(&id) })
        };
        all.into_iter().map(one).collect()
    }

    fn dimension(&self, id: Id) -> Result<(CString, usize)> {
        let mut len = 0;
        // SAFETY: the buffer has room for the longest name, and `len` outlives the call.
        let name = name(|to| unsafe { sys::nc_inq_dim(self.id, id, to, &mut len) })?;
        Ok((name, len))
    }

    pub fn define_dimension(&self, dimension: &Dimension) -> Result<Id> {
        let len = if dimension.is_unlimited { sys::NC_UNLIMITED } else { dimension.len };
        let mut id = 0;
        // SAFETY: see `define_group`.
        call(|| unsafe { sys::nc_def_dim(self.id, dimension.name.as_ptr(), len, &mut id) })?;
        Ok(id)
    }

    /// The types that this group defines.
    pub fn types(&self) -> Result<Vec<(Id, CString, UserType)>> {
        // SAFETY: as in `groups`.
        let ids = ids(|count, list| unsafe { sys::nc_inq_typeids(self.id, count, list) })?;
        ids.into_iter().map(|id| self.user_type(id)).collect()
    }

    fn user_type(&self, id: Id) -> Result<(Id, CString, UserType)> {
        let (mut size, mut base, mut members, mut class) = (0, 0, 0, 0);
        // SAFETY: the buffer has room for the longest name, and the others outlive the call.
        let called = name(|to| unsafe {
            sys::nc_inq_user_type(self.id, id, to, &mut size, &mut base, &mut members, &mut class)
        })?;
        let kind = match class {
            sys::NC_OPAQUE => UserType::Opaque { size },
            sys::NC_ENUM => {
                let member = |k: usize| {
                    let mut value = vec![0; size];
                    // SAFETY: a member's value is as long as its base type, and the name's buffer as the longest name.
                    let called = name(|to| unsafe {
                        sys::nc_inq_enum_member(self.id, id, k as c_int, to, value.as_mut_ptr().cast())
                    })?;
                    Ok((called, value))
                };
                UserType::Enum { base, members: (0..members).map(member).collect::<Result<_>>()? }
            }
            _ => UserType::Other,
        };
        Ok((id, called, kind))
    }

    /// Defines a type; none that is neither opaque nor an enumeration.
    pub fn define_type(&self, name: &CStr, kind: &UserType) -> Result<Option<Id>> {
        let mut id = 0;
        match kind {
            // SAFETY: see `define_group`.
            UserType::Opaque { size } => {
                call(|| unsafe { sys::nc_def_opaque(self.id, *size, name.as_ptr(), &mut id) })?
            }
            UserType::Enum { base, members } => {
                // SAFETY: as above.
                call(|| unsafe { sys::nc_def_enum(self.id, *base, name.as_ptr(), &mut id) })?;
                for (member, value) in members {
                    // SAFETY: the value was read of an enumeration of the same base type.
                    call(|| unsafe { sys::nc_insert_enum(self.id, id, member.as_ptr(), value.as_ptr().cast()) })?;
                }
            }
            UserType::Other => return Ok(None),
        }
        Ok(Some(id))
    }

    pub fn variables(&self) -> Result<Vec<Variable<'f>>> {
        // SAFETY: as in `groups`.
        let ids = ids(|count, list| unsafe { sys::nc_inq_varids(self.id, count, list) })?;
        ids.into_iter().map(|id| self.variable(id)).collect()
    }

    fn variable(&self, id: Id) -> Result<Variable<'f>> {
        let mut rank = 0;
        // SAFETY: `rank` outlives the call.
        call(|| unsafe { sys::nc_inq_varndims(self.id, id, &mut rank) })?;
        let (mut kind, mut dimensions) = (0, vec![0; usize::try_from(rank).unwrap_or(0)]);
        let (nothing, list) = (std::ptr::null_mut(), dimensions.as_mut_ptr());
        // SAFETY: the list has room for all dimensions; libnetcdf leaves out what is asked for by a null pointer.
        let called = name(|to| unsafe { sys::nc_inq_var(self.id, id, to, &mut kind, nothing, list, nothing) })?;
        let dims = dimensions.iter().map(|&id| self.dimension(id)).collect::<Result<_>>()?;
        let (mut size, no_name) = (0, std::ptr::null_mut());
        // SAFETY: `size` outlives the call; the name is left out.
        call(|| unsafe { sys::nc_inq_type(self.id, kind, no_name, &mut size) })?;
        Ok(Variable { group: *self, id, name: called, kind, size, dimensions, dims })
    }

    pub fn define_variable(&self, name: &CStr, kind: Id, dimensions: &[Id]) -> Result<Variable<'f>> {
        let mut id = 0;
        let rank = dimensions.len() as c_int;
        // SAFETY: see `define_group`; the list is as long as is said.
        call(|| unsafe { sys::nc_def_var(self.id, name.as_ptr(), kind, rank, dimensions.as_ptr(), &mut id) })?;
        self.variable(id)
    }

    /// Names of the attributes of a variable, or of the group ([`GLOBAL`]).
    pub fn attributes(&self, variable: Id) -> Result<Vec<CString>> {
        let mut count = 0;
        // SAFETY: `count` outlives the call.
        call(|| unsafe {
            match variable {
                GLOBAL => sys::nc_inq_natts(self.id, &mut count),
                _ => sys::nc_inq_varnatts(self.id, variable, &mut count),
            }
        })?;
        // SAFETY: the buffer has room for the longest name.
        (0..count).map(|k| name(|to| unsafe { sys::nc_inq_attname(self.id, variable, k, to) })).collect()
    }

    /// Copies an attribute to a variable, or to a group ([`GLOBAL`]), of another file.
    pub fn copy_attribute(&self, variable: Id, name: &CStr, to: &Group<'_>, to_variable: Id) -> Result<()> {
        // SAFETY: the name is terminated; both files are open.
        call(|| unsafe { sys::nc_copy_att(self.id, variable, name.as_ptr(), to.id, to_variable) })
    }
}
