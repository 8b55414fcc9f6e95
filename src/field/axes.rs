//! Which axes of a field are frames, planes, rows and columns.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// The axes of a field that frames follow each other along, and those that lie within a frame: rows and columns, and
/// planes where frames are volumes. Each is an index into the field's axes, and no two are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axes {
    /// What frames follow each other along: time, or the depth of one volume.
    pub frames: usize,
    /// The planes of a frame that is a volume; `None` where frames are planes.
    pub planes: Option<usize>,
    /// The rows of a plane.
    pub rows: usize,
    /// Its columns.
    pub columns: usize,
}

impl Axes {
    /// The axes of a field of `ndim` axes.
    ///
    /// # Errors
    /// `InvalidArgument` where two are the same or one is none of the field's.
    pub(crate) fn check(&self, ndim: usize) -> Result<()> {
        let axes = self.list();
        let distinct = (1..axes.len()).all(|k| !axes[..k].contains(&axes[k]));
        if distinct && axes.iter().all(|&axis| axis < ndim) {
            return Ok(());
        }
        Err(Error::invalid(format!("axes {self} do not fit {ndim} dimensions")))
    }

    /// Frames, planes where there are any, rows and columns.
    pub fn list(&self) -> Vec<usize> {
        [Some(self.frames), self.planes, Some(self.rows), Some(self.columns)].into_iter().flatten().collect()
    }

    /// Frames, planes, rows and columns.
    pub(crate) fn roles(&self) -> [Option<usize>; 4] {
        [Some(self.frames), self.planes, Some(self.rows), Some(self.columns)]
    }

    /// Of a list of three or four.
    pub(crate) fn of_list(list: &[usize]) -> Option<Self> {
        match *list {
            [frames, rows, columns] => Some([frames, rows, columns].into()),
            [frames, planes, rows, columns] => Some([frames, planes, rows, columns].into()),
            _ => None,
        }
    }
}

impl From<[usize; 3]> for Axes {
    /// Frames, rows and columns.
    fn from([frames, rows, columns]: [usize; 3]) -> Self {
        Self { frames, planes: None, rows, columns }
    }
}

impl From<[usize; 4]> for Axes {
    /// Frames, planes, rows and columns.
    fn from([frames, planes, rows, columns]: [usize; 4]) -> Self {
        Self { frames, planes: Some(planes), rows, columns }
    }
}

impl fmt::Display for Axes {
    /// Numbers with commas between them, as [`FromStr`] reads them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.list().iter().map(usize::to_string).collect();
        f.write_str(&numbers.join(","))
    }
}

impl FromStr for Axes {
    type Err = Error;

    /// `frames,rows,columns` or `frames,planes,rows,columns`.
    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::invalid(format!("axes '{text}' are not three or four different axis numbers"));
        let numbers: Option<Vec<usize>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
        let axes = numbers.and_then(|numbers| Self::of_list(&numbers)).ok_or_else(bad)?;
        axes.check(usize::MAX).map_err(|_| bad())?;
        Ok(axes)
    }
}
