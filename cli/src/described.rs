//! What is known of a field beside its values: names, units, and where its points lie.

use crate::failure::caught;
use fieldpress::archive::{Attribute, Reader};
use netcdf::AttributeValue;

/// Where the indices of an axis lie.
#[derive(Clone, Debug, PartialEq)]
pub struct Coordinate {
    pub values: Vec<f64>,
    pub units: String,
}

impl Coordinate {
    /// Whether it is a latitude, by its units, as CF has it.
    pub fn is_latitude(&self) -> bool {
        self.is_degrees(&["north", "_n", "degreen", "degreesn"])
    }

    /// Whether it is a longitude, by its units, as CF has it.
    pub fn is_longitude(&self) -> bool {
        self.is_degrees(&["east", "_e", "degreee", "degreese"])
    }

    fn is_degrees(&self, ends: &[&str]) -> bool {
        let units = self.units.to_lowercase();
        units.starts_with("degree") && ends.iter().any(|end| units.ends_with(end))
    }
}

/// What a file says of a field; empty where it says nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Described {
    pub units: String,
    /// Names of the axes, slowest first.
    pub axes: Vec<String>,
    /// Coordinates along these, where there are any.
    pub coordinates: Vec<Option<Coordinate>>,
}

impl Described {
    /// The coordinate of an axis, counted from the last.
    pub fn coordinate_from_last(&self, back: usize) -> Option<&Coordinate> {
        self.coordinates.iter().rev().nth(back)?.as_ref()
    }

    /// What lies along the last two axes, for people; nothing where there are no coordinates.
    pub fn axes_text(&self) -> String {
        let along = |back: usize, what: &str| {
            let coordinate = self.coordinate_from_last(back)?;
            let axis = self.axes.iter().rev().nth(back)?;
            let units = if coordinate.units.is_empty() { String::new() } else { format!(" ({})", coordinate.units) };
            Some(format!("{what}: {axis}{units}"))
        };
        [along(1, "up"), along(0, "across")].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// What a NetCDF file says of a variable. What cannot be read is left out: the values do not depend on it.
    pub fn of_netcdf(path: &str, name: &str) -> Self {
        let read = || Ok(netcdf_variable(path, name).unwrap_or_default());
        caught(read, crate::failure::own_fault).unwrap_or_default()
    }

    /// What an archive says of a variable; its axes are those of a step.
    pub fn of_archive(reader: &Reader, number: usize) -> Self {
        let definitions = reader.definitions();
        let names = definitions.names();
        let (Some(variable), Some(axes)) = (definitions.variables.get(number), names.dimensions.get(number)) else {
            return Self::default();
        };
        let along = |(axis, &size): (&String, &usize)| {
            let found = names.coordinates.iter().find(|one| one.dimensions == [axis.as_str()])?;
            let units = text(&found.attributes, "units");
            (found.values.len() == size).then(|| Coordinate { values: found.values.clone(), units })
        };
        Self {
            units: text(&variable.attributes, "units"),
            axes: axes.clone(),
            coordinates: axes.iter().zip(variable.shape.dims()).map(along).collect(),
        }
    }
}

/// The text of an attribute; nothing where there is none.
pub fn text(attributes: &[(String, Attribute)], name: &str) -> String {
    let found = attributes.iter().find(|(one, _)| one == name);
    match found {
        Some((_, Attribute::Text(text))) => text.clone(),
        _ => String::new(),
    }
}

fn netcdf_variable(path: &str, name: &str) -> Option<Described> {
    let file = netcdf::open(path).ok()?;
    let inside = name.strip_prefix('/').unwrap_or(name);
    let variable = file.variable(inside)?;
    let units = |variable: &netcdf::Variable<'_>| match variable.attribute_value("units").and_then(Result::ok) {
        Some(AttributeValue::Str(text)) => text,
        _ => String::new(),
    };
    let mut out = Described { units: units(&variable), ..Described::default() };
    // Coordinates lie in the variable's group, or above it.
    let groups: Vec<&str> = inside.split('/').collect();
    for dimension in variable.dimensions() {
        let axis = dimension.name();
        let places = (0..groups.len()).rev().map(|depth| [&groups[..depth], &[axis.as_str()]].concat().join("/"));
        let coordinate = places
            .filter_map(|place| file.variable(&place))
            .find(|found| found.dimensions().len() == 1 && found.len() == dimension.len())
            .and_then(|found| Some(Coordinate { values: found.get_values::<f64, _>(..).ok()?, units: units(&found) }));
        out.axes.push(axis);
        out.coordinates.push(coordinate);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_say_which_coordinate_it_is() {
        let of = |units: &str| Coordinate { values: vec![0.0], units: units.to_owned() };
        for units in ["degrees_north", "degree_north", "degrees_N", "degreesN", "degree_N"] {
            assert!(of(units).is_latitude() && !of(units).is_longitude(), "{units}");
        }
        for units in ["degrees_east", "degreeE", "degrees_E"] {
            assert!(of(units).is_longitude() && !of(units).is_latitude(), "{units}");
        }
        for units in ["m", "", "degrees", "north", "degC"] {
            assert!(!of(units).is_latitude() && !of(units).is_longitude(), "{units}");
        }
    }
}
