//! Which variables of a dataset are compressed, and under which bound.

use super::nc::{Group, Result, Variable};
use fieldpress::Bound;
use std::collections::HashSet;
use std::str::FromStr;

/// Bytes below which a variable stays as it is: what HDF5 stores of a chunk's place is no less.
const LEAST_BYTES: u64 = 4096;

/// Attributes that name variables which say where or when values are, not what they are.
const NAMING: [&std::ffi::CStr; 5] = [c"coordinates", c"bounds", c"climatology", c"grid_mapping", c"cell_measures"];

/// A bound, for one variable or for all.
#[derive(Clone, Debug, PartialEq)]
pub struct VariableBound {
    /// Its name, with or without its groups; none for all variables that no other bound names.
    pub variable: Option<String>,
    pub bound: Bound,
}

impl FromStr for VariableBound {
    type Err = fieldpress::Error;

    fn from_str(text: &str) -> fieldpress::Result<Self> {
        let (variable, bound) = match text.rsplit_once(':') {
            Some((variable, bound)) => (Some(variable.trim_start_matches('/').to_owned()), bound),
            None => (None, text),
        };
        Ok(Self { variable, bound: bound.parse()? })
    }
}

/// What the command line asks for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub bounds: &'a [VariableBound],
    /// Names of variables; where there are some, no others are compressed.
    pub only: &'a [String],
}

/// Whether `name` means the variable of this path: the whole path, or its last part.
fn means(name: &str, path: &str) -> bool {
    let (name, path) = (name.trim_start_matches('/'), path.trim_start_matches('/'));
    name == path || path.rsplit('/').next() == Some(name)
}

impl Wanted<'_> {
    /// The bound for a variable; none where it stays as it is. What is asked for by name is done; a bound for all leaves
    /// out coordinates, and what is too small to profit.
    pub fn bound(&self, variable: &Variable<'_>, coordinates: &HashSet<String>) -> Result<Option<Bound>> {
        let path = variable.path()?;
        if !variable.is_floating() || variable.dims.is_empty() || variable.bytes() == 0 {
            return Ok(None);
        }
        let named = self.bounds.iter().rev().find(|one| one.variable.as_deref().is_some_and(|name| means(name, &path)));
        if let Some(named) = named {
            return Ok(Some(named.bound));
        }
        let is_listed = self.only.iter().any(|name| means(name, &path));
        let is_taken = if self.only.is_empty() {
            variable.bytes() >= LEAST_BYTES && !coordinates.contains(&*variable.name.to_string_lossy())
        } else {
            is_listed
        };
        let default = self.bounds.iter().rev().find(|one| one.variable.is_none());
        Ok(default.filter(|_| is_taken).map(|one| one.bound))
    }

    /// Names that the command line gives and none of these variables has.
    pub fn unknown(&self, paths: &[String]) -> Vec<String> {
        let named = self.bounds.iter().filter_map(|one| one.variable.as_ref()).chain(self.only);
        named.filter(|name| !paths.iter().any(|path| means(name, path))).cloned().collect()
    }
}

/// Local names of the variables that say where or when values are: those named as their one dimension, and those that
/// others name so by an attribute, as CF has it.
pub fn coordinates(group: Group<'_>) -> Result<HashSet<String>> {
    let mut found = HashSet::new();
    for variable in group.variables()? {
        if let [(dimension, _)] = &variable.dims[..]
            && *dimension == variable.name
        {
            found.insert(variable.name.to_string_lossy().into_owned());
        }
        for attribute in NAMING {
            let text = variable.text(attribute);
            // `area: areacella` has a role before each name.
            let names = text.split_whitespace().filter(|word| !word.ends_with(':'));
            found.extend(names.map(|name| name.rsplit('/').next().unwrap_or(name).to_owned()));
        }
    }
    for inner in group.groups()? {
        found.extend(coordinates(inner)?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_with_and_without_names() {
        let parse = |text: &str| text.parse::<VariableBound>();
        assert_eq!(parse("rel=1e-3").unwrap(), VariableBound { variable: None, bound: Bound::Rel(1e-3) });
        let named = VariableBound { variable: Some("air/ta".into()), bound: Bound::Abs(0.1) };
        assert_eq!(parse("/air/ta:abs=0.1").unwrap(), named);
        assert!(parse("ta:abs").is_err() && parse("ta:").is_err());
    }

    #[test]
    fn names_mean_paths_and_their_last_parts() {
        assert!(
            means("ta", "ta") && means("ta", "/air/ta") && means("/air/ta", "/air/ta") && means("air/ta", "/air/ta")
        );
        assert!(!means("ta", "/ta/air") && !means("air/ta", "ta"));
    }
}
