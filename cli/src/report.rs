//! What the tool says: one JSON object, or a few lines for a person.

use crate::failure::Failure;
use crate::target;
use fieldpress::{SectionBytes, Shape};
use serde_json::{Map, Value, json};
use std::io::{self, Write};
use std::path::Path;

/// The keys that every command's JSON has.
pub struct Common<'a> {
    pub shape: &'a Shape,
    pub dtype: fieldpress::DType,
    /// Which axes are frames, planes, rows and columns, where frames are volumes or the last three axes are not these.
    pub axes: Option<fieldpress::Axes>,
    pub bound: Option<fieldpress::Bound>,
    pub input_bytes: u64,
    pub stream_bytes: u64,
    pub nrmse: f64,
    pub max_abs_error: f64,
    pub seconds: f64,
    pub sections: &'a SectionBytes,
    pub fm_share: f64,
}

impl Common<'_> {
    /// Bytes of the field for each byte of the stream.
    pub fn ratio(&self) -> f64 {
        self.input_bytes as f64 / self.stream_bytes as f64
    }

    /// The object; numbers that JSON does not have (NaN, infinities) become null.
    pub fn json(&self) -> Map<String, Value> {
        let sections: Map<_, _> =
            self.sections.entries().into_iter().map(|(name, bytes)| (name.to_owned(), bytes.into())).collect();
        let mut out = Map::new();
        out.insert("dims".into(), json!(self.shape.dims()));
        out.insert("type".into(), json!(self.dtype.name()));
        out.insert("axes".into(), json!(self.axes.map(|axes| axes.list())));
        if let Some(bound) = self.bound {
            out.insert("bound".into(), json!(bound.to_string()));
        }
        out.insert("input_bytes".into(), json!(self.input_bytes));
        out.insert("stream_bytes".into(), json!(self.stream_bytes));
        out.insert("ratio".into(), json!(self.ratio()));
        out.insert("nrmse".into(), json!(self.nrmse));
        out.insert("max_abs_error".into(), json!(self.max_abs_error));
        out.insert("seconds".into(), json!(self.seconds));
        out.insert("sections".into(), Value::Object(sections));
        out.insert("fm_share".into(), json!(self.fm_share));
        out
    }

    /// The same for a person.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let sections = self.sections.entries();
        let sections: Vec<String> =
            sections.iter().filter(|(_, bytes)| *bytes > 0).map(|(name, bytes)| format!("{name} {bytes}")).collect();
        let mut out = vec![
            ("field", format!("{} {}, {}", self.shape, self.dtype.name(), megabytes(self.input_bytes))),
            ("stream", format!("{} bytes, ratio {:.2}", self.stream_bytes, self.ratio())),
            ("sections", format!("{} (bytes)", sections.join(", "))),
            ("model", format!("used by {:.1} % of the chunks", 100.0 * self.fm_share)),
        ];
        if let Some(axes) = self.axes {
            let planes = if axes.planes.is_some() { " planes," } else { "" };
            out.push(("axes", format!("{axes} are frames,{planes} rows, columns")));
        }
        if let Some(bound) = self.bound {
            out.push(("bound", bound.to_string()));
        }
        out.push(("error", format!("NRMSE {:.4e}, largest {:.4e}", self.nrmse, self.max_abs_error)));
        out
    }

    /// Time and throughput, for commands that work on the field.
    pub fn time_line(&self) -> (&'static str, String) {
        let throughput = self.input_bytes as f64 / 1e6 / self.seconds;
        ("time", format!("{:.3} s, {throughput:.1} MB/s", self.seconds))
    }
}

/// Values that mark points without data, as short as they can be: those of f32 fields are no decimal numbers in f64.
pub fn numbers(values: &[f64]) -> String {
    let one = |&value: &f64| {
        let single = value as f32;
        if f64::from(single) == value { format!("{single:e}") } else { format!("{value:e}") }
    };
    values.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What is said of sentinels that were found.
pub fn kept(sentinels: &[f64]) -> String {
    format!("{} found to mark points without data, and kept (--sentinels off: data)", numbers(sentinels))
}

/// Bytes as megabytes (10⁶).
fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}

/// Prints the object on standard output.
pub fn print_json(object: Map<String, Value>) -> Result<(), Failure> {
    print(&mut io::stdout().lock(), &json_text(object))
}

/// Prints text that is ready on standard output.
pub fn print_text(text: &str) -> Result<(), Failure> {
    print(&mut io::stdout().lock(), text)
}

/// Prints lines with their names in a column on standard output.
pub fn print_lines(lines: &[(&str, String)]) -> Result<(), Failure> {
    print(&mut io::stdout().lock(), &lines_text(lines))
}

/// Prints rows in columns: texts to the left, what comes after the fourth column, numbers, to the right.
pub fn print_table<const N: usize>(rows: &[[String; N]]) -> Result<(), Failure> {
    const TEXTS: usize = 4;
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cell = |(column, text): (usize, &String)| {
            let room = widths[column];
            if column < TEXTS { format!("{text:<room$}") } else { format!("{text:>room$}") }
        };
        let cells: Vec<String> = row.iter().enumerate().map(cell).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    print(&mut io::stdout().lock(), &rows.iter().map(line).collect::<String>())
}

/// Prints the object or the lines: on standard error where the output itself goes to standard output.
pub fn print_beside(output: &Path, text: &str) -> Result<(), Failure> {
    if target::is_standard_output(output) {
        print(&mut io::stderr().lock(), text)
    } else {
        print(&mut io::stdout().lock(), text)
    }
}

/// The object's text.
pub fn json_text(object: Map<String, Value>) -> String {
    // What JSON leaves as it is, it takes escaped, too; such characters occur within its strings alone.
    let escape = |c: char| if c != '\n' && is_told(c) { format!("\\u{:04x}", c as u32) } else { c.into() };
    format!("{:#}\n", Value::Object(object)).chars().map(escape).collect()
}

/// Lines with their names in a column.
pub fn lines_text(lines: &[(&str, String)]) -> String {
    lines.iter().map(|(name, value)| format!("{name:<10}{}\n", plain(value))).collect()
}

/// Whether a character says something to a terminal: controls, and the marks that turn the direction of writing.
fn is_told(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text from a file as one line that a terminal shows and does not obey.
pub fn plain(text: &str) -> String {
    let escape = |c: char| if is_told(c) { c.escape_unicode().to_string() } else { c.into() };
    text.chars().map(escape).collect()
}

fn print(out: &mut dyn Write, text: &str) -> Result<(), Failure> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| Failure::writing("the report", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_told_nothing() {
        assert_eq!(plain("K, naïve, 金, a\\b"), "K, naïve, 金, a\\b");
        assert_eq!(plain("a\x1b[2J\nsound yes\u{9b}\u{202e}"), "a\\u{1b}[2J\\u{a}sound yes\\u{9b}\\u{202e}");
    }
}
