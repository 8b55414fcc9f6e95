//! Variables and attributes: the description of an archive's fields.

use super::layout::Extent;
use crate::bytes::{Reader, Writer};
use crate::error::{Error, Result};
use crate::field::{DType, Shape};
use crate::stream::{read_type_and_shape, write_type_and_shape};
use std::fmt;

/// A property of a variable or of the archive.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// Text, UTF-8.
    Text(String),
    /// Whole numbers.
    Integers(Vec<i64>),
    /// Numbers.
    Reals(Vec<f64>),
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<T: fmt::Debug>(f: &mut fmt::Formatter<'_>, values: &[T]) -> fmt::Result {
            match values {
                [value] => write!(f, "{value:?}"),
                _ => write!(f, "{values:?}"),
            }
        }
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integers(values) => list(f, values),
            Self::Reals(values) => list(f, values),
        }
    }
}

/// A variable of an archive: a field of the global domain at every step at which it was put.
#[derive(Clone, Debug, PartialEq)]
pub struct VariableInfo {
    /// Its name, not empty, unique.
    pub name: String,
    /// Sizes of the global domain, slowest first.
    pub shape: Shape,
    /// The type of its values.
    pub dtype: DType,
    /// Names and values, in the order in which they were given.
    pub attributes: Vec<(String, Attribute)>,
}

/// The attribute of a variable that holds its fill value, as NetCDF has it.
pub const FILL_VALUE: &str = "_FillValue";

impl VariableInfo {
    /// The value of points without data: the number of its attribute [`FILL_VALUE`], where it has one.
    pub fn fill_value(&self) -> Option<f64> {
        let (_, value) = self.attributes.iter().find(|(name, _)| name == FILL_VALUE)?;
        match value {
            Attribute::Reals(values) => Some(*values.first()?).filter(|_| values.len() == 1),
            Attribute::Integers(values) => Some(*values.first()? as f64).filter(|_| values.len() == 1),
            Attribute::Text(_) => None,
        }
    }
}

/// Where an embedded model package is, and which.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EmbeddedModel {
    pub(super) name: String,
    pub(super) hash: [u8; 32],
    pub(super) record: u64,
}

/// Everything that an archive says once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Definitions {
    /// Variables, in the order of their numbers.
    pub variables: Vec<VariableInfo>,
    /// Attributes of the archive.
    pub attributes: Vec<(String, Attribute)>,
    pub(super) model: Option<EmbeddedModel>,
}

/// Names are at most this long, in bytes.
pub(super) const MAX_NAME: usize = 255;

/// # Errors
/// `InvalidArgument` for a name that is empty, too long, or holds control characters.
pub(super) fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "the name {name:?} is not valid; expected 1 to {MAX_NAME} bytes without control characters"
        )));
    }
    Ok(())
}

impl Definitions {
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = Writer::default();
        write_attributes(&mut out, &self.attributes);
        out.varint(self.variables.len() as u64);
        for variable in &self.variables {
            write_text(&mut out, &variable.name);
            write_type_and_shape(&mut out, variable.dtype, &variable.shape);
            write_attributes(&mut out, &variable.attributes);
        }
        match &self.model {
            None => out.u8(0),
            Some(model) => {
                out.u8(1);
                write_text(&mut out, &model.name);
                out.bytes.extend_from_slice(&model.hash);
                out.varint(model.record);
            }
        }
        out.bytes
    }

    /// # Errors
    /// `Corrupt`.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let attributes = read_attributes(&mut reader)?;
        let count = count(&mut reader, 5)?;
        let mut variables: Vec<VariableInfo> = Vec::with_capacity(count);
        for _ in 0..count {
            let name = read_text(&mut reader)?;
            check_name(&name).map_err(|error| Error::corrupt(error.message()))?;
            if variables.iter().any(|other| other.name == name) {
                return Err(Error::corrupt(format!("two variables are named {name}")));
            }
            let (dtype, shape) = read_type_and_shape(&mut reader)?;
            variables.push(VariableInfo { name, shape, dtype, attributes: read_attributes(&mut reader)? });
        }
        let model = match reader.u8()? {
            0 => None,
            1 => Some(EmbeddedModel {
                name: read_text(&mut reader)?,
                hash: reader.bytes(32)?.try_into().expect("as many bytes as were asked for"),
                record: reader.varint()?,
            }),
            other => return Err(Error::corrupt(format!("model entry {other} is not known"))),
        };
        if reader.remaining() > 0 {
            return Err(Error::corrupt("bytes follow the definitions"));
        }
        Ok(Self { variables, attributes, model })
    }

    /// The number of the variable `name`.
    ///
    /// # Errors
    /// `InvalidArgument` that lists the names that there are.
    pub fn number(&self, name: &str) -> Result<usize> {
        self.variables.iter().position(|variable| variable.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.variables.iter().map(|variable| variable.name.as_str()).collect();
            Error::invalid(format!("there is no variable '{name}'; there are {}", names.join(", ")))
        })
    }

    /// A number that differs where variables or attributes do, for ranks to compare.
    pub(super) fn digest(&self) -> u64 {
        let bytes = Self { model: None, ..self.clone() }.write();
        u64::from(Extent::of(&bytes).crc) << 32 | bytes.len() as u64 & 0xffff_ffff
    }
}

/// A count of things that take at least `least` bytes each.
pub(super) fn count(reader: &mut Reader<'_>, least: usize) -> Result<usize> {
    let count = reader.varint()?;
    if count > (reader.remaining() / least) as u64 {
        return Err(Error::corrupt(format!("a count of {count} is more than {} bytes can hold", reader.remaining())));
    }
    Ok(count as usize)
}

pub(super) fn write_text(out: &mut Writer, text: &str) {
    out.varint(text.len() as u64);
    out.bytes.extend_from_slice(text.as_bytes());
}

pub(super) fn read_text(reader: &mut Reader<'_>) -> Result<String> {
    let length = reader.length()?;
    let text = std::str::from_utf8(reader.bytes(length)?).map_err(|_| Error::corrupt("a text is not UTF-8"))?;
    Ok(text.to_owned())
}

fn write_attributes(out: &mut Writer, attributes: &[(String, Attribute)]) {
    out.varint(attributes.len() as u64);
    for (name, value) in attributes {
        write_text(out, name);
        match value {
            Attribute::Text(text) => {
                out.u8(0);
                write_text(out, text);
            }
            Attribute::Integers(values) => {
                out.u8(1);
                out.varint(values.len() as u64);
                values.iter().for_each(|&value| out.u64(value as u64));
            }
            Attribute::Reals(values) => {
                out.u8(2);
                out.varint(values.len() as u64);
                values.iter().for_each(|&value| out.f64(value));
            }
        }
    }
}

fn read_attributes(reader: &mut Reader<'_>) -> Result<Vec<(String, Attribute)>> {
    let n = count(reader, 3)?;
    let mut attributes = Vec::with_capacity(n);
    for _ in 0..n {
        let name = read_text(reader)?;
        let value = match reader.u8()? {
            0 => Attribute::Text(read_text(reader)?),
            1 => {
                let n = count(reader, 8)?;
                Attribute::Integers((0..n).map(|_| Ok(reader.u64()? as i64)).collect::<Result<_>>()?)
            }
            2 => {
                let n = count(reader, 8)?;
                Attribute::Reals((0..n).map(|_| reader.f64()).collect::<Result<_>>()?)
            }
            other => return Err(Error::corrupt(format!("attribute type {other} is not known"))),
        };
        attributes.push((name, value));
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::MAX_DIMS;
    use proptest::prelude::*;

    fn attributes() -> impl Strategy<Value = Vec<(String, Attribute)>> {
        let value = prop_oneof![
            "\\PC*".prop_map(Attribute::Text),
            prop::collection::vec(any::<i64>(), 0..4).prop_map(Attribute::Integers),
            prop::collection::vec(-1e300..1e300, 0..4).prop_map(Attribute::Reals),
        ];
        prop::collection::vec(("[a-z]{1,8}", value), 0..4)
    }

    proptest! {
        #[test]
        fn definitions_survive(
            variables in prop::collection::btree_map("[a-z]{1,9}", (prop::collection::vec(1..99usize, 1..=MAX_DIMS), attributes(), any::<bool>()), 0..5),
            attributes in attributes(),
            model in prop::option::of(("[a-z]{1,9}", any::<[u8; 32]>(), any::<u64>())),
        ) {
            let variables = variables.into_iter().map(|(name, (dims, attributes, double))| VariableInfo {
                name,
                shape: Shape::new(&dims).unwrap(),
                dtype: if double { DType::F64 } else { DType::F32 },
                attributes,
            });
            let model = model.map(|(name, hash, record)| EmbeddedModel { name, hash, record });
            let definitions = Definitions { variables: variables.collect(), attributes, model };
            let bytes = definitions.write();
            prop_assert_eq!(Definitions::read(&bytes).unwrap(), definitions);
            for cut in 0..bytes.len() {
                prop_assert!(Definitions::read(&bytes[..cut]).is_err());
            }
        }

        #[test]
        fn any_bytes_are_an_error_or_definitions(bytes: Vec<u8>) {
            let _ = Definitions::read(&bytes);
        }
    }
}
