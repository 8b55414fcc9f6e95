//! NetCDF files as datasets are copied: groups, dimensions, types, variables and their storage, by identifiers. A thin
//! layer over libnetcdf, since the `netcdf` crate has neither identifiers nor filters.

use netcdf_sys as sys;
use std::ffi::{CStr, CString};
use std::fmt;
use std::marker::PhantomData;
use std::os::raw::{c_char, c_int, c_uint, c_void};
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

/// How a variable is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Sizes of its chunks; none where it lies in one piece.
    pub chunks: Option<Vec<usize>>,
    pub shuffle: bool,
    /// Level of deflate.
    pub deflate: Option<c_int>,
    pub checksum: bool,
    pub endianness: c_int,
    /// Further filters of HDF5: number and parameters.
    pub filters: Vec<(c_uint, Vec<c_uint>)>,
}

/// Numbers of HDF5's own filters: deflate, shuffle, Fletcher's checksum.
const OWN_FILTERS: [c_uint; 3] = [1, 2, 3];

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

/// A variable of an open file.
#[derive(Clone, Debug)]
pub struct Variable<'f> {
    group: Group<'f>,
    pub id: Id,
    pub name: CString,
    /// Identifier of its type.
    pub kind: Id,
    /// Bytes of a value in memory.
    size: usize,
    /// Identifiers of its dimensions.
    pub dimensions: Vec<Id>,
    /// Name and present length of each dimension.
    pub dims: Vec<(CString, usize)>,
}

/// The values of a box of a variable, of one of the two types that are compressed, or bytes of any other.
#[derive(Debug)]
pub enum Values {
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bytes(Vec<u8>),
    /// Pointers to texts that libnetcdf has allocated; null where there is none.
    Texts(Vec<*mut c_char>),
}

impl Values {
    fn pointer(&mut self) -> *mut c_void {
        match self {
            Self::F32(values) => values.as_mut_ptr().cast(),
            Self::F64(values) => values.as_mut_ptr().cast(),
            Self::Bytes(values) => values.as_mut_ptr().cast(),
            Self::Texts(values) => values.as_mut_ptr().cast(),
        }
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        if let Self::Texts(texts) = self {
            // SAFETY: libnetcdf allocated these texts, and nobody else has them.
            let _freed = call(|| unsafe { sys::nc_free_string(texts.len(), texts.as_mut_ptr()) });
        }
    }
}

/// A box of a variable: first index and number of indices along each dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Box {
    pub start: Vec<usize>,
    pub count: Vec<usize>,
}

impl<'f> Variable<'f> {
    pub fn group(&self) -> &Group<'f> {
        &self.group
    }

    /// Present lengths of its dimensions.
    pub fn shape(&self) -> Vec<usize> {
        self.dims.iter().map(|(_, len)| *len).collect()
    }

    /// Bytes of all values in memory.
    pub fn bytes(&self) -> u64 {
        self.dims.iter().map(|(_, len)| *len as u64).product::<u64>() * self.size as u64
    }

    pub fn is_floating(&self) -> bool {
        [sys::NC_FLOAT, sys::NC_DOUBLE].contains(&self.kind)
    }

    /// Its full name: that of a variable in the root has no slash.
    pub fn path(&self) -> Result<String> {
        let mut len = 0;
        // SAFETY: the length is asked for first, and then the name with a byte for its end.
        call(|| unsafe { sys::nc_inq_grpname_full(self.group.id, &mut len, std::ptr::null_mut()) })?;
        let mut group = vec![0u8; len + 1];
        // SAFETY: as above.
        call(|| unsafe { sys::nc_inq_grpname_full(self.group.id, &mut len, group.as_mut_ptr().cast()) })?;
        let group = String::from_utf8_lossy(&group[..len]).into_owned();
        let own = self.name.to_string_lossy();
        Ok(if group == "/" { own.into_owned() } else { format!("{group}/{own}") })
    }

    /// The numbers of an attribute; none where it is missing or a text.
    pub fn numbers(&self, name: &CStr) -> Vec<f64> {
        let Some((kind, len)) = self.attribute(name) else { return Vec::new() };
        if [sys::NC_CHAR, sys::NC_STRING].contains(&kind) {
            return Vec::new();
        }
        let mut values = vec![0.0; len];
        // SAFETY: there is room for all values; libnetcdf converts numbers, and refuses other types.
        let read =
            call(|| unsafe { sys::nc_get_att_double(self.group.id, self.id, name.as_ptr(), values.as_mut_ptr()) });
        if read.is_ok() { values } else { Vec::new() }
    }

    /// The text of an attribute; empty where it is missing or no text.
    pub fn text(&self, name: &CStr) -> String {
        match self.attribute(name) {
            Some((sys::NC_CHAR, len)) => {
                let mut bytes = vec![0u8; len];
                let to = bytes.as_mut_ptr().cast();
                // SAFETY: there is room for the whole text.
                let read = call(|| unsafe { sys::nc_get_att_text(self.group.id, self.id, name.as_ptr(), to) });
                if read.is_ok() { String::from_utf8_lossy(&bytes).into_owned() } else { String::new() }
            }
            Some((sys::NC_STRING, len)) => {
                let mut texts = Values::Texts(vec![std::ptr::null_mut(); len]);
                let to = texts.pointer().cast();
                // SAFETY: there is room for all pointers, which `Values` gives back.
                let read = call(|| unsafe { sys::nc_get_att_string(self.group.id, self.id, name.as_ptr(), to) });
                let Values::Texts(list) = &texts else { return String::new() };
                let text = |text: &*mut c_char| {
                    // SAFETY: libnetcdf terminates the texts that it allocates.
                    (!text.is_null()).then(|| unsafe { CStr::from_ptr(*text) }.to_string_lossy().into_owned())
                };
                let texts: Vec<String> = if read.is_ok() { list.iter().filter_map(text).collect() } else { Vec::new() };
                texts.join(" ")
            }
            _ => String::new(),
        }
    }

    fn attribute(&self, name: &CStr) -> Option<(Id, usize)> {
        let (mut kind, mut len) = (0, 0);
        // SAFETY: both outlive the call.
        call(|| unsafe { sys::nc_inq_att(self.group.id, self.id, name.as_ptr(), &mut kind, &mut len) }).ok()?;
        Some((kind, len))
    }

    /// How it is stored in an HDF5 file.
    pub fn storage(&self) -> Result<Storage> {
        let (file, id) = (self.group.id, self.id);
        let (mut layout, mut chunks) = (0, vec![0; self.dims.len()]);
        // SAFETY: the list has a size for each dimension; the others outlive the calls.
        call(|| unsafe { sys::nc_inq_var_chunking(file, id, &mut layout, chunks.as_mut_ptr()) })?;
        let (mut shuffle, mut deflate, mut level, mut checksum, mut endianness) = (0, 0, 0, 0, 0);
        // SAFETY: as above.
        call(|| unsafe { sys::nc_inq_var_deflate(file, id, &mut shuffle, &mut deflate, &mut level) })?;
        // SAFETY: as above.
        call(|| unsafe { sys::nc_inq_var_fletcher32(file, id, &mut checksum) })?;
        // SAFETY: as above.
        call(|| unsafe { sys::nc_inq_var_endian(file, id, &mut endianness) })?;
        Ok(Storage {
            chunks: (layout == sys::NC_CHUNKED && !chunks.is_empty()).then_some(chunks),
            shuffle: shuffle != 0,
            deflate: (deflate != 0).then_some(level),
            checksum: checksum != 0,
            endianness,
            filters: self.filters()?,
        })
    }

    fn filters(&self) -> Result<Vec<(c_uint, Vec<c_uint>)>> {
        let (file, id, mut count) = (self.group.id, self.id, 0);
        // SAFETY: the list is left out where its length is asked for, and has that length then.
        call(|| unsafe { sys::nc_inq_var_filter_ids(file, id, &mut count, std::ptr::null_mut()) })?;
        let mut numbers = vec![0; count];
        // SAFETY: as above.
        call(|| unsafe { sys::nc_inq_var_filter_ids(file, id, &mut count, numbers.as_mut_ptr()) })?;
        let parameters = |number: c_uint| {
            let mut count = 0;
            // SAFETY: as above.
            call(|| unsafe { sys::nc_inq_var_filter_info(file, id, number, &mut count, std::ptr::null_mut()) })?;
            let mut values = vec![0; count];
            // SAFETY: as above.
            call(|| unsafe { sys::nc_inq_var_filter_info(file, id, number, &mut count, values.as_mut_ptr()) })?;
            Ok((number, values))
        };
        numbers.into_iter().filter(|number| !OWN_FILTERS.contains(number)).map(parameters).collect()
    }

    /// Says how a variable that has just been defined is to be stored.
    pub fn set_storage(&self, storage: &Storage) -> Result<()> {
        let (file, id) = (self.group.id, self.id);
        if let Some(chunks) = &storage.chunks {
            // SAFETY: `storage` is of a variable of the same dimensions, so the list has a size for each.
            call(|| unsafe { sys::nc_def_var_chunking(file, id, sys::NC_CHUNKED, chunks.as_ptr()) })?;
        }
        if storage.endianness != sys::NC_ENDIAN_NATIVE {
            // SAFETY: the file is open; so below.
            call(|| unsafe { sys::nc_def_var_endian(file, id, storage.endianness) })?;
        }
        if storage.checksum {
            // SAFETY: as above.
            call(|| unsafe { sys::nc_def_var_fletcher32(file, id, sys::NC_FLETCHER32) })?;
        }
        if storage.shuffle || storage.deflate.is_some() {
            let (shuffle, deflate) = (c_int::from(storage.shuffle), c_int::from(storage.deflate.is_some()));
            let level = storage.deflate.unwrap_or(0);
            // SAFETY: as above.
            call(|| unsafe { sys::nc_def_var_deflate(file, id, shuffle, deflate, level) })?;
        }
        for (number, values) in &storage.filters {
            // SAFETY: the list is as long as is said.
            call(|| unsafe { sys::nc_def_var_filter(file, id, *number, values.len(), values.as_ptr()) })?;
        }
        Ok(())
    }

    /// Reads the values of a box.
    pub fn read(&self, part: &Box) -> Result<Values> {
        let len: usize = part.count.iter().product();
        let mut values = match self.kind {
            sys::NC_FLOAT => Values::F32(vec![0.0; len]),
            sys::NC_DOUBLE => Values::F64(vec![0.0; len]),
            sys::NC_STRING => Values::Texts(vec![std::ptr::null_mut(); len]),
            _ => Values::Bytes(vec![0; len * self.size]),
        };
        let (start, count, to) = (part.start.as_ptr(), part.count.as_ptr(), values.pointer());
        // SAFETY: the box has an entry for each dimension, and there is room for all of its values.
        call(|| unsafe { sys::nc_get_vara(self.group.id, self.id, start, count, to) })?;
        Ok(values)
    }

    /// Writes the values of a box, as `read` gives them of a variable of the same type.
    pub fn write(&self, part: &Box, values: &mut Values) -> Result<()> {
        let (start, count, from) = (part.start.as_ptr(), part.count.as_ptr(), values.pointer());
        // SAFETY: as in `read`.
        call(|| unsafe { sys::nc_put_vara(self.group.id, self.id, start, count, from) })
    }
}
