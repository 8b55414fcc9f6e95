//! Outputs: a file appears under its name when it is whole, or not at all.

use crate::failure::Failure;
use crate::npy;
use crate::source::{Data, Field};
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Bytes that are swapped at a time on big-endian machines.
#[cfg(target_endian = "big")]
const CHUNK: usize = 1 << 13;

/// Writes `path` through `fill`: into a temporary file beside it that then takes its name.
pub fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    write_whole(path, fill).map_err(|error| Failure::writing(&path.display().to_string(), error))
}

fn write_whole(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    // Through links, so that the file they name is replaced, not the link.
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        // A device or pipe cannot be replaced.
        let mut writer = BufWriter::new(OpenOptions::new().write(true).open(path)?);
        fill(&mut writer)?;
        return writer.flush();
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".fieldpress-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask, as for any new file
    let mut file = builder.tempfile_in(folder)?;
    {
        let mut writer = BufWriter::new(file.as_file_mut());
        fill(&mut writer)?;
        writer.flush()?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Writes a field, raw or as NumPy by the name's ending.
pub fn write_field(path: &Path, field: &Field) -> Result<(), Failure> {
    write_as(path, field, path.extension().is_some_and(|extension| extension == "npy"))
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
