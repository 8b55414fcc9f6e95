//! Copies of NetCDF files: everything is defined first, as the original has it but for the storage of some variables, and
//! then filled.

use super::boxes::boxes;
use super::nc::{Box, Error, File, GLOBAL, Group, Id, Result, Storage, Variable};
use std::collections::HashMap;

/// Values that are read at a time.
const VALUES: usize = 1 << 24;
/// The first identifier of types that files define.
const FIRST_USER_TYPE: Id = netcdf_sys::NC_FIRSTUSERTYPEID;

/// Which file of a copy made it fail.
#[derive(Debug)]
pub enum FillError {
    Reading(Error),
    Writing(Error),
}

/// A variable, and its copy.
#[derive(Debug)]
pub struct Pair<'a, 'b> {
    pub from: Variable<'a>,
    pub to: Variable<'b>,
    chunks: Option<Vec<usize>>,
}

/// What the identifiers of a file are in its copy.
#[derive(Debug, Default)]
struct Identifiers {
    dimensions: HashMap<Id, Id>,
    types: HashMap<Id, Id>,
}

/// Defines in `to` all that `from` has; `storage` says how a variable is stored, where not in NetCDF's usual way.
///
/// # Errors
/// What libnetcdf says; a type that is not copied.
pub fn define<'a, 'b>(
    from: &'a File,
    to: &'b File,
    mut storage: impl FnMut(&Variable<'a>) -> Result<Option<Storage>>,
) -> Result<Vec<Pair<'a, 'b>>> {
    let mut pairs = Vec::new();
    define_group(from.root(), to.root(), &mut Identifiers::default(), &mut storage, &mut pairs)?;
    Ok(pairs)
}

fn define_group<'a, 'b>(
    from: Group<'a>,
    to: Group<'b>,
    known: &mut Identifiers,
    storage: &mut impl FnMut(&Variable<'a>) -> Result<Option<Storage>>,
    pairs: &mut Vec<Pair<'a, 'b>>,
) -> Result<()> {
    for (id, name, kind) in from.types()? {
        let Some(copied) = to.define_type(&name, &kind)? else {
            return Err(Error::new(format!(
                "the type {} is compound or of variable length; expected numbers, texts, opaque bytes or enumerations",
                name.to_string_lossy()
            )));
        };
        known.types.insert(id, copied);
    }
    for dimension in from.dimensions()? {
        known.dimensions.insert(dimension.id, to.define_dimension(&dimension)?);
    }
    for name in from.attributes(GLOBAL)? {
        from.copy_attribute(GLOBAL, &name, &to, GLOBAL)?;
    }
    for variable in from.variables()? {
        pairs.push(define_variable(variable, &to, known, storage)?);
    }
    for inner in from.groups()? {
        define_group(inner, to.define_group(&inner.name()?)?, known, storage, pairs)?;
    }
    Ok(())
}

fn define_variable<'a, 'b>(
    from: Variable<'a>,
    to: &Group<'b>,
    known: &Identifiers,
    storage: &mut impl FnMut(&Variable<'a>) -> Result<Option<Storage>>,
) -> Result<Pair<'a, 'b>> {
    let kind = if from.kind < FIRST_USER_TYPE { Some(from.kind) } else { known.types.get(&from.kind).copied() };
    let dimensions: Option<Vec<Id>> = from.dimensions.iter().map(|id| known.dimensions.get(id).copied()).collect();
    let (Some(kind), Some(dimensions)) = (kind, dimensions) else {
        return Err(Error::new(format!("{} has a type or a dimension that no group around it defines", from.path()?)));
    };
    let copy = to.define_variable(&from.name, kind, &dimensions)?;
    let storage = storage(&from)?;
    if let Some(storage) = &storage {
        copy.set_storage(storage)?;
    }
    for name in from.group().attributes(from.id)? {
        from.group().copy_attribute(from.id, &name, to, copy.id)?;
    }
    Ok(Pair { from, to: copy, chunks: storage.and_then(|storage| storage.chunks) })
}

impl Pair<'_, '_> {
    /// The boxes by which its values are copied: of whole chunks, so that each is coded once.
    pub fn boxes(&self) -> Vec<Box> {
        let shape = self.from.shape();
        let single = vec![1; shape.len()];
        boxes(&shape, self.chunks.as_ref().unwrap_or(&single), VALUES)
    }

    /// Copies all values; `copied` is told the bytes of each box.
    ///
    /// # Errors
    /// What libnetcdf says, and of which file.
    pub fn fill(&self, mut copied: impl FnMut(u64)) -> std::result::Result<(), FillError> {
        let size = self.from.bytes() / self.from.shape().iter().product::<usize>().max(1) as u64;
        for part in self.boxes() {
            let mut values = self.from.read(&part).map_err(FillError::Reading)?;
            self.to.write(&part, &mut values).map_err(FillError::Writing)?;
            copied(size * part.count.iter().product::<usize>() as u64);
        }
        Ok(())
    }
}
