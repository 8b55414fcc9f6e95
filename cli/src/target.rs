//! Outputs: a file appears under its name when it is whole, or not at all.

use crate::failure::Failure;
use crate::npy;
use crate::source::{Data, Field};
use std::fs::OpenOptions;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

/// Bytes that are swapped at a time on big-endian machines.
#[cfg(target_endian = "big")]
const CHUNK: usize = 1 << 13;

/// The name of standard input and output.
pub const STANDARD: &str = "-";

/// Whether an output goes to standard output: named `-`, or a name of the same pipe, terminal or file.
pub fn is_standard_output(path: &Path) -> bool {
    path == Path::new(STANDARD) || is_same_file(path, Path::new("/dev/stdout"))
}

/// Whether two names mean one file.
#[cfg(unix)]
pub fn is_same_file(path: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |path: &Path| path.metadata().map(|metadata| (metadata.dev(), metadata.ino())).ok();
    place(path).is_some_and(|there| place(other) == Some(there))
}

/// Whether two names mean one file.
#[cfg(not(unix))]
pub fn is_same_file(path: &Path, other: &Path) -> bool {
    path.canonicalize().is_ok_and(|there| other.canonicalize().is_ok_and(|other| other == there))
}

/// Writes `path` through `fill`: into a temporary file beside it that then takes its name; or to standard output.
pub fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    write_whole(path, fill).map_err(|error| Failure::writing(&path.display().to_string(), error))
}

fn write_whole(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    if path == Path::new(STANDARD) {
        let mut out = io::stdout().lock();
        if out.is_terminal() {
            return Err(io::Error::other("is a terminal, to which no values are written"));
        }
        fill(&mut out)?;
        return out.flush();
    }
    // Through links, so that the file they name is replaced, not the link.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        // A device or pipe cannot be replaced.
        let mut writer = BufWriter::new(OpenOptions::new().write(true).open(path)?);
        fill(&mut writer)?;
        return writer.flush();
    }
    let mut file = temporary_beside(path)?;
    {
        let mut writer = BufWriter::new(file.as_file_mut());
        fill(&mut writer)?;
        writer.flush()?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Writes `path` through a library that wants a name: into a temporary file beside it, which then takes its name.
///
/// # Errors
/// What `fill` says, or why the file cannot be made.
pub fn write_at<R>(path: &Path, fill: impl FnOnce(&Path) -> Result<R, Failure>) -> Result<R, Failure> {
    let failed = |error: io::Error| Failure::writing(&path.display().to_string(), error);
    let place = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    if place.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Err(failed(io::Error::other("is no file; expected the name of one to write")));
    }
    let temporary = temporary_beside(&place).map_err(failed)?.into_temp_path();
    let done = fill(&temporary)?;
    std::fs::File::open(&temporary).and_then(|file| file.sync_all()).map_err(failed)?;
    temporary.persist(&place).map_err(|error| failed(error.error))?;
    Ok(done)
}

fn temporary_beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".fieldpress-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask, as for any new file
    builder.tempfile_in(folder)
}

/// Writes a field as NumPy, or raw.
pub fn write_as(path: &Path, field: &Field, is_npy: bool) -> Result<(), Failure> {
    write(path, |writer| {
        if is_npy {
            writer.write_all(&npy::header(field.dtype(), field.shape.dims()))?;
        }
        write_values(writer, &field.data)
    })
}

#[cfg(target_endian = "little")]
fn write_values(writer: &mut dyn Write, data: &Data) -> io::Result<()> {
    match data {
        Data::F32(values) => writer.write_all(bytemuck::cast_slice(values)),
        Data::F64(values) => writer.write_all(bytemuck::cast_slice(values)),
    }
}

#[cfg(target_endian = "big")]
fn write_values(writer: &mut dyn Write, data: &Data) -> io::Result<()> {
    match data {
        Data::F32(values) => values.chunks(CHUNK).try_for_each(|chunk| {
            writer.write_all(&chunk.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
        }),
        Data::F64(values) => values.chunks(CHUNK).try_for_each(|chunk| {
            writer.write_all(&chunk.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
        }),
    }
}
