//! What the tests of the tool share.
#![allow(dead_code)] // each test program uses a part of it

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

pub const DIMS: [usize; 3] = [12, 40, 52];

/// A folder of its own for each test, and the tool run in it.
pub struct Workplace(TempDir);

impl Workplace {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn run(&self, arguments: &str) -> Output {
        let mut tool = Command::new(env!("CARGO_BIN_EXE_fieldpress"));
        // Other tests' children can inherit this process's lock on a file that was just written.
        tool.env("HDF5_USE_FILE_LOCKING", "FALSE");
        tool.current_dir(self.0.path()).args(arguments.split_whitespace()).output().unwrap()
    }

    /// Runs a line of the shell, in which the tool is `fieldpress`.
    pub fn shell(&self, line: &str) -> Output {
        let mut shell = Command::new("sh");
        let folder = Path::new(env!("CARGO_BIN_EXE_fieldpress")).parent().unwrap();
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        shell.env("PATH", path).current_dir(self.0.path()).args(["-c", line]).output().unwrap()
    }

    /// Runs what must succeed without a word on standard error.
    pub fn ok(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments}");
        assert_eq!(output.status.code(), Some(0), "{arguments}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn json(&self, arguments: &str) -> Value {
        serde_json::from_str(&self.ok(&format!("{arguments} --json"))).unwrap()
    }

    /// Runs what must fail with this exit code, a word in its message, and nothing on standard output.
    pub fn fails(&self, arguments: &str, code: i32, word: &str) {
        let before = self.files();
        let output = self.run(arguments);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments}: {message}");
        assert!(message.contains(word), "{arguments}: '{message}' has no '{word}'");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{arguments}");
        assert_eq!(self.files(), before, "{arguments} left something behind");
    }

    pub fn files(&self) -> Vec<(String, u64)> {
        let mut files: Vec<_> = std::fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len()))
            .collect();
        files.sort();
        files
    }

    pub fn write_f32(&self, name: &str, values: &[f32]) {
        std::fs::write(self.path(name), bytemuck::cast_slice(values)).unwrap();
    }

    pub fn read_f32(&self, name: &str) -> Vec<f32> {
        let bytes = std::fs::read(self.path(name)).unwrap();
        bytes.chunks_exact(4).map(|value| f32::from_le_bytes(value.try_into().unwrap())).collect()
    }

    /// `x.f32` and its stream `x.fp`.
    pub fn with_stream() -> Self {
        let workplace = Self::new();
        workplace.write_f32("x.f32", &wave());
        workplace.ok("compress x.f32 -o x.fp --dims 12,40,52 --type f32 --bound nrmse=1e-3 --fm off");
        workplace
    }
}

/// A field of [`DIMS`].
pub fn wave() -> Vec<f32> {
    let [nt, ny, nx] = DIMS;
    let point = |t: usize, y: usize, x: usize| {
        let rough = ((t * 7919 + y * 104_729 + x * 1_299_709) % 1000) as f32 / 1000.0;
        250.0 + 20.0 * (0.15 * x as f32 + 0.2 * t as f32).sin() * (0.1 * y as f32).cos() + 0.1 * rough
    };
    (0..nt * ny * nx).map(|i| point(i / (ny * nx), i / nx % ny, i % nx)).collect()
}
