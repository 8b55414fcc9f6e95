//! Names of dimensions, coordinates and units of time, which are attributes by convention (docs/archive.md, Names and
//! coordinates).

use super::definitions::{Attribute, Definitions};

/// The attribute of a variable, or of a coordinate, that names its axes.
const DIMENSIONS: &str = "_dimensions";
/// What the attributes of the archive that make a coordinate begin with.
const COORDINATE: &str = "_coordinate.";
/// What the attributes of the archive that describe its times begin with.
const TIME: &str = "time.";
/// Names of axes that nobody named, the last ones of these.
const AXES: [&str; 5] = ["v", "w", "z", "y", "x"];

/// Where the points of variables lie along one or several of their dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct Coordinate {
    /// Its name; that of its dimension, where it has one.
    pub name: String,
    /// Names of its dimensions, slowest first.
    pub dimensions: Vec<String>,
    /// One value for each index of its dimensions, in C order.
    pub values: Vec<f64>,
    /// Further attributes, such as `units`.
    pub attributes: Vec<(String, Attribute)>,
}

/// What an archive's attributes say by convention.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Names {
    /// Of each variable, in their order, the names of its axes, without the steps'. A name means one size: where
    /// variables disagree, the later has the size in its name.
    pub dimensions: Vec<Vec<String>>,
    /// Coordinates, in the order in which they were given.
    pub coordinates: Vec<Coordinate>,
    /// Attributes of the times, such as `units` and `calendar`.
    pub time: Vec<(String, Attribute)>,
}

/// Whether an attribute of the archive is one by convention.
pub fn is_conventional(name: &str) -> bool {
    name.starts_with('_') || name.starts_with(TIME)
}

impl Definitions {
    /// What the attributes say of names, coordinates and times.
    pub fn names(&self) -> Names {
        let time = self.attributes.iter().filter_map(|(name, value)| Some((name.strip_prefix(TIME)?, value)));
        Names {
            dimensions: self.dimension_names(),
            coordinates: self.coordinates(),
            time: time.map(|(name, value)| (name.to_owned(), value.clone())).collect(),
        }
    }

    fn dimension_names(&self) -> Vec<Vec<String>> {
        let mut sizes: Vec<(String, usize)> = Vec::new();
        let mut named = |name: String, size: usize| -> String {
            let mut name = name;
            loop {
                match sizes.iter().find(|(known, _)| *known == name) {
                    Some((_, known)) if *known == size => return name,
                    Some(_) => name = format!("{name}_{size}"),
                    None => {
                        sizes.push((name.clone(), size));
                        return name;
                    }
                }
            }
        };
        let given = |number: usize| -> Option<Vec<String>> {
            let variable = &self.variables[number];
            let (_, value) = variable.attributes.iter().find(|(name, _)| name == DIMENSIONS)?;
            let Attribute::Text(text) = value else { return None };
            let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
            let fits = names.len() == variable.shape.ndim() && !names.iter().any(String::is_empty);
            fits.then_some(names)
        };
        let mut dimensions = vec![Vec::new(); self.variables.len()];
        // Names that were given come first, so that they are kept as they are.
        for is_given in [true, false] {
            for (number, variable) in self.variables.iter().enumerate() {
                let dims = variable.shape.dims();
                let names = match (given(number), is_given) {
                    (Some(names), true) => names,
                    (None, false) => AXES[AXES.len() - dims.len()..].iter().map(|name| (*name).to_owned()).collect(),
                    _ => continue,
                };
                dimensions[number] = names.into_iter().zip(dims).map(|(name, &size)| named(name, size)).collect();
            }
        }
        dimensions
    }

    fn coordinates(&self) -> Vec<Coordinate> {
        let mut found: Vec<Coordinate> = Vec::new();
        for (name, value) in &self.attributes {
            let Some(name) = name.strip_prefix(COORDINATE) else { continue };
            let owner = found.iter_mut().find(|one| name.strip_prefix(&*one.name).is_some_and(|r| r.starts_with('.')));
            if let Some(owner) = owner {
                let attribute = &name[owner.name.len() + 1..];
                match value {
                    Attribute::Text(text) if attribute == DIMENSIONS => {
                        owner.dimensions = text.split(',').map(|name| name.trim().to_owned()).collect();
                    }
                    _ => owner.attributes.push((attribute.to_owned(), value.clone())),
                }
                continue;
            }
            let values = match value {
                Attribute::Reals(values) => values.clone(),
                Attribute::Integers(values) => values.iter().map(|&value| value as f64).collect(),
                Attribute::Text(_) => continue,
            };
            let dimensions = vec![name.to_owned()];
            found.push(Coordinate { name: name.to_owned(), dimensions, values, attributes: Vec::new() });
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::definitions::VariableInfo;
    use super::*;
    use crate::field::{DType, Shape};

    fn variable(name: &str, dims: &[usize], names: Option<&str>) -> VariableInfo {
        let attributes = names.map(|names| (DIMENSIONS.to_owned(), Attribute::Text(names.to_owned())));
        VariableInfo {
            name: name.to_owned(),
            shape: Shape::new(dims).unwrap(),
            dtype: DType::F32,
            attributes: attributes.into_iter().collect(),
        }
    }

    #[test]
    fn dimensions_are_shared_where_sizes_agree() {
        let definitions = Definitions {
            variables: vec![
                variable("a", &[4, 6], None),
                variable("b", &[4, 6], Some("y, lon")),
                variable("c", &[3, 4, 6], None),
                variable("d", &[5, 6], Some("y,lon")),
                variable("e", &[5, 6], Some("wrong")),
            ],
            ..Default::default()
        };
        let names = definitions.names().dimensions;
        assert_eq!(
            names,
            [vec!["y", "x"], vec!["y", "lon"], vec!["z", "y", "x"], vec!["y_5", "lon"], vec!["y_5", "x"]]
        );
    }

    #[test]
    fn coordinates_have_attributes_and_dimensions() {
        let attribute = |name: &str, value| (name.to_owned(), value);
        let definitions = Definitions {
            attributes: vec![
                attribute("title", Attribute::Text("x".into())),
                attribute("_coordinate.lat", Attribute::Reals(vec![1.0, 2.0])),
                attribute("_coordinate.lat.units", Attribute::Text("degrees_north".into())),
                attribute("_coordinate.lat2d", Attribute::Integers(vec![1, 2, 3, 4])),
                attribute("_coordinate.lat2d._dimensions", Attribute::Text("y,x".into())),
                attribute("time.units", Attribute::Text("days since 2000-01-01".into())),
            ],
            ..Default::default()
        };
        let names = definitions.names();
        assert_eq!(names.coordinates[0].dimensions, ["lat"]);
        assert_eq!(names.coordinates[0].attributes, [attribute("units", Attribute::Text("degrees_north".into()))]);
        assert_eq!(names.coordinates[1].dimensions, ["y", "x"]);
        assert_eq!(names.coordinates[1].values, [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(names.time, [attribute("units", Attribute::Text("days since 2000-01-01".into()))]);
        assert!(is_conventional("time.units") && is_conventional("_coordinate.lat") && !is_conventional("title"));
    }
}
