//! The HDF5 filter that the tool carries: its registration, its parameters, and what HDF5 stores by it.

use super::nc::{Error, Result, Storage};
use fieldpress::{Bound, Effort, FmMode, Options};
use hdf5_sys::{h5d, h5f, h5p, h5z};
use std::ffi::{CStr, CString};
use std::os::raw::{c_char, c_uint, c_void};
use std::path::Path;
use std::sync::OnceLock;

/// Its number: of HDF5's range for testing.
pub const FILTER: c_uint = 413;

unsafe extern "C" {
    /// The filter's description, in HDF5's form. Of `src/ffi/hdf5/filter.c`, as HDF5 asks plugins for it.
    fn H5PLget_plugin_info() -> *const c_void;
    /// What the filter gives the library beside a dataset's own options.
    static mut fieldpress_filter_options: *const c_char;
    /// Of the C ABI: what went wrong last in this thread.
    fn fieldpress_last_error() -> *const c_char;
}

/// Makes HDF5 know the filter, so that no plugin has to be installed. `running` says where and with what it runs, as
/// `key=value` each; it is told so once.
///
/// # Errors
/// Where HDF5 does not take it.
pub fn register(running: &[String]) -> Result<()> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    static RUNNING: OnceLock<CString> = OnceLock::new();
    let registered = REGISTERED.get_or_init(|| {
        let _lock = netcdf_sys::libnetcdf_lock.lock();
        let text: String = running.iter().map(|option| format!(";{option}")).collect();
        let text = RUNNING.get_or_init(|| CString::new(text.replace('\0', "")).unwrap_or_default());
        // SAFETY: the text lives as long as the program, and the filter, which reads it, is not registered yet.
        unsafe { fieldpress_filter_options = text.as_ptr() };
        // SAFETY: HDF5 is opened first; the description is static and of the form that HDF5's headers have.
        unsafe { hdf5_sys::h5::H5open() >= 0 && h5z::H5Zregister(H5PLget_plugin_info()) >= 0 }
    });
    if *registered { Ok(()) } else { Err(Error::new("HDF5 does not take the filter of fieldpress")) }
}

/// What the filter said last, where it has said anything.
pub fn complaint() -> Option<String> {
    // SAFETY: the text is this thread's, terminated, and lives until its next call.
    let text = unsafe { CStr::from_ptr(fieldpress_last_error()) }.to_string_lossy().into_owned();
    (!text.is_empty()).then_some(text)
}

/// Where the filter has its values that mark points without data, behind what it notes of a chunk, and the most of them.
const MARKS: usize = 14;
const MOST_MARKS: usize = 8;

/// The parameter for an effort and the use of the model.
pub fn effort(options: &Options) -> c_uint {
    let effort = match options.effort {
        Effort::Fast => 0,
        Effort::High => 2,
        _ => 1,
    };
    let use_of_model = match options.fm {
        FmMode::Off => 4,
        FmMode::On => 8,
        _ => 0,
    };
    effort + use_of_model
}

/// The filter's parameters, as docs/hosts.md has them: kind, low and high half of the value, effort; and, where they are
/// known, all values that mark points without data, one more than their number first.
pub fn parameters(bound: Bound, effort: u32, marks: Option<&[f64]>) -> Vec<c_uint> {
    let (kind, value) = match bound {
        Bound::Abs(value) => (1, value),
        Bound::Rel(value) => (2, value),
        Bound::Nrmse(value) => (3, value),
        Bound::Psnr(value) => (4, value),
        Bound::BlockL2(value) => (5, value),
        Bound::PwRel(value) => (8, value),
        _ => (6, 0.0),
    };
    let halves = |value: f64| [value.to_bits() as c_uint, (value.to_bits() >> 32) as c_uint];
    let [low, high] = halves(value);
    let mut parameters = vec![kind, low, high, effort];
    if let Some(marks) = marks {
        let marks: Vec<f64> = marks.iter().copied().filter(|mark| mark.is_finite()).take(MOST_MARKS).collect();
        parameters.resize(MARKS, 0);
        parameters.push(1 + marks.len() as c_uint);
        parameters.extend(marks.into_iter().flat_map(halves));
    }
    parameters
}

/// Whether a variable is stored by the filter.
pub fn is_compressed(storage: &Storage) -> bool {
    storage.filters.iter().any(|(number, _)| *number == FILTER)
}

/// Bytes that an HDF5 file stores of variables, named from the root on; none of one that cannot be found.
pub fn stored_bytes(path: &Path, variables: &[String]) -> Vec<Option<u64>> {
    let none = vec![None; variables.len()];
    let Ok(path) = CString::new(path.as_os_str().as_encoded_bytes()) else { return none };
    let _lock = netcdf_sys::libnetcdf_lock.lock();
    // SAFETY: the path is terminated; the file is closed below.
    let file = unsafe { h5f::H5Fopen(path.as_ptr(), h5f::H5F_ACC_RDONLY, h5p::H5P_DEFAULT) };
    if file < 0 {
        return none;
    }
    let size = |variable: &String| {
        // A variable that has the name of a dimension and is not its coordinate has another name in HDF5.
        let (group, name) = variable.rsplit_once('/').unwrap_or(("", variable));
        let hidden = format!("{group}/_nc4_non_coord_{name}");
        [variable.as_str(), &hidden].into_iter().find_map(|name| {
            let name = CString::new(name).ok()?;
            // SAFETY: the name is terminated, the file open; a dataset that was opened is closed.
            unsafe {
                let dataset = h5d::H5Dopen2(file, name.as_ptr(), h5p::H5P_DEFAULT);
                if dataset < 0 {
                    return None;
                }
                let bytes = h5d::H5Dget_storage_size(dataset);
                h5d::H5Dclose(dataset);
                Some(bytes)
            }
        })
    };
    let sizes = variables.iter().map(size).collect();
    // SAFETY: the file is open and nothing uses it any more.
    unsafe { h5f::H5Fclose(file) };
    sizes
}
