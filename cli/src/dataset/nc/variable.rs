//! Variables of NetCDF files: how they are stored, their attributes, and their values by boxes.

use super::{Group, Id, Result, call};
use netcdf_sys as sys;
use std::ffi::{CStr, CString};
use std::os::raw::{c_char, c_int, c_uint, c_void};

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

/// A variable of an open file.
#[derive(Clone, Debug)]
pub struct Variable<'f> {
    pub(super) group: Group<'f>,
    pub id: Id,
    pub name: CString,
    /// Identifier of its type.
    pub kind: Id,
    /// Bytes of a value in memory.
    pub(super) size: usize,
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
