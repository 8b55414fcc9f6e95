//! An archive's header, as `ncdump -h` prints that of a NetCDF file.

use crate::netcdf_out;
use crate::report::plain;
use fieldpress::DType;
use fieldpress::archive::{Attribute, Reader, is_conventional};
use std::fmt::Write;

/// Numbers of an attribute that are printed, at most.
const NUMBERS: usize = 8;

/// The header; `held` says of each variable what the archive has of it, `facts` of the archive what no header says.
pub fn text(path: &str, reader: &Reader, held: &[String], facts: &[String]) -> String {
    let definitions = reader.definitions();
    let names = definitions.names();
    let time = netcdf_out::time_name(definitions, 0..definitions.variables.len());
    let mut out = format!("archive {} {{\n", plain(&stem(path)));

    out.push_str("dimensions:\n");
    line(&mut out, 1, &format!("{time} = UNLIMITED"), &format!("{} currently", reader.steps()));
    let mut sizes: Vec<(&str, usize)> = Vec::new();
    for (variable, axes) in definitions.variables.iter().zip(&names.dimensions) {
        for (axis, &size) in axes.iter().zip(variable.shape.dims()) {
            if !sizes.iter().any(|(known, _)| known == axis) {
                sizes.push((axis, size));
                line(&mut out, 1, &format!("{} = {size}", plain(axis)), "");
            }
        }
    }

    out.push_str("variables:\n");
    line(&mut out, 1, &format!("double {time}({time})"), &times(reader));
    attributes(&mut out, time, &names.time);
    for one in &names.coordinates {
        let axes: Vec<_> = one.dimensions.iter().map(|axis| plain(axis)).collect();
        let ends = match one.values[..] {
            [first, .., last] => format!("{first} to {last}"),
            _ => String::new(),
        };
        line(&mut out, 1, &format!("double {}({})", plain(&one.name), axes.join(", ")), &ends);
        attributes(&mut out, &one.name, &one.attributes);
    }
    for ((variable, axes), held) in definitions.variables.iter().zip(&names.dimensions).zip(held) {
        let dtype = match variable.dtype {
            DType::F32 => "float",
            DType::F64 => "double",
        };
        let axes: Vec<_> = std::iter::once(time.into()).chain(axes.iter().map(|axis| plain(axis))).collect();
        line(&mut out, 1, &format!("{dtype} {}({})", plain(&variable.name), axes.join(", ")), held);
        attributes(&mut out, &variable.name, &variable.attributes);
    }

    let global = definitions.attributes.iter().filter(|(name, _)| !is_conventional(name)).cloned().collect::<Vec<_>>();
    if !global.is_empty() {
        out.push_str("\n// global attributes:\n");
        attributes(&mut out, "", &global);
    }
    out.push('\n');
    for fact in facts {
        let _ = writeln!(out, "// {}", plain(fact));
    }
    out.push_str("}\n");
    out
}

/// First and last time, with their units.
fn times(reader: &Reader) -> String {
    let at = |step: u64| reader.time(step).map(|time| time.to_string()).unwrap_or_default();
    format!("{} to {}", at(0), at(reader.steps().saturating_sub(1)))
}

/// A statement, and what is said beside it.
fn line(out: &mut String, depth: usize, statement: &str, beside: &str) {
    let space = if beside.is_empty() { "" } else { " // " };
    let _ = writeln!(out, "{}{statement} ;{space}{beside}", "    ".repeat(depth));
}

/// The attributes of a variable, or of the archive, but for those that name things by convention.
fn attributes(out: &mut String, owner: &str, of: &[(String, Attribute)]) {
    fn listed<T: std::fmt::Debug>(values: &[T]) -> String {
        let shown: Vec<String> = values.iter().take(NUMBERS).map(|value| format!("{value:?}")).collect();
        let rest = if values.len() > NUMBERS { ", …" } else { "" };
        format!("{}{rest}", shown.join(", "))
    }
    for (name, value) in of.iter().filter(|(name, _)| name != "_dimensions") {
        let (value, beside) = match value {
            Attribute::Text(text) => {
                (format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")), String::new())
            }
            Attribute::Integers(values) => (listed(values), more(values.len())),
            Attribute::Reals(values) => (listed(values), more(values.len())),
        };
        line(out, 2, &format!("{}:{} = {}", plain(owner), plain(name), plain(&value)), &beside);
    }
}

fn more(values: usize) -> String {
    if values > NUMBERS { format!("{values} values") } else { String::new() }
}

/// A file's name without its ending.
fn stem(path: &str) -> String {
    std::path::Path::new(path).file_stem().map_or(path.to_owned(), |stem| stem.to_string_lossy().into_owned())
}
