//! What a graph of a model package may be. A graph is a program: one that comes in a file from anyone must not read
//! other files, run for ever or fill the memory.
//!
//! In: the bytes of a graph, from anyone. Out: a [`Plan`], where every byte is understood, every operator is one of
//! those that [`operators`] lists, and all weights are inside; and of each set of input shapes whether the values and
//! the work between inputs and outputs stay within limits, before the runtime sees them. Values of nothing but shapes
//! are followed, so that a shape that depends on data is an error.

mod message;
mod operators;
mod shapes;
mod tensor;

use crate::error::{Error, ErrorKind, Result};
use message::Attribute;
use operators::{Kind, Rule};
use std::collections::{HashMap, HashSet};
use tensor::{Element, Known, count};

/// The operator set that graphs are written for.
const OPSET: i64 = 17;
/// Nodes, and weights, of a graph, at most.
const MOST: usize = 8192;

/// Multiplications and additions of a run for each value in and out, at most. The heaviest graph of this repository
/// (the decoder of `models/reference`) takes 22,000.
const WORK: u64 = 1 << 18;
/// Values that a run has in memory at once, for each value in and out, at most. The same graph has 74.
const VALUES: u64 = 512;
/// The same of what depends on no input: weights, and what is made of them.
const CONSTANT_WORK: u64 = 1 << 28;
const CONSTANT_VALUES: u64 = 1 << 25;

/// A node of a graph.
struct Step {
    name: String,
    operator: &'static str,
    rule: Rule,
    /// Numbers of values; `None` for an input that is left out.
    inputs: Vec<Option<usize>>,
    outputs: Vec<usize>,
    /// Values that nobody needs after it.
    last: Vec<usize>,
    attributes: Vec<Attribute>,
    tensor: Option<Known>,
}

impl Step {
    fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name.as_deref() == Some(name))
    }

    fn int(&self, name: &str, usual: i64) -> i64 {
        self.attribute(name).and_then(|attribute| attribute.i).unwrap_or(usual)
    }

    fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|attribute| attribute.ints.as_slice())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.attribute(name).map(|attribute| {
            let text = attribute.s.as_deref().map(std::str::from_utf8);
            text.and_then(std::result::Result::ok).unwrap_or("not a text")
        })
    }

    fn tensor(&self, name: &str) -> Option<&Known> {
        self.tensor.as_ref().filter(|_| self.attribute(name).is_some())
    }
}

/// A checked graph: what it does with shapes.
pub(crate) struct Plan {
    steps: Vec<Step>,
    /// Names and numbers of the inputs.
    inputs: Vec<(String, usize)>,
    outputs: Vec<(String, usize)>,
    /// Weights, by number.
    weights: Vec<(usize, Known)>,
    values: usize,
}

/// What running a graph, or a part of it, takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Multiplications and additions.
    pub(crate) work: u64,
    /// Values in memory at once, where each tensor goes after its last use.
    pub(crate) values: u64,
}

/// A name and a shape.
pub(crate) type Shaped<'a> = (&'a str, &'a [usize]);

/// Values by name, each defined once.
#[derive(Default)]
struct Names {
    numbers: HashMap<String, usize>,
}

impl Names {
    fn define(&mut self, name: &str) -> std::result::Result<usize, String> {
        let number = self.numbers.len();
        if name.is_empty() || self.numbers.insert(name.to_owned(), number).is_some() {
            return Err(format!("the value {name:?} is given twice, or has no name"));
        }
        Ok(number)
    }

    fn find(&self, name: &str) -> std::result::Result<usize, String> {
        self.numbers.get(name).copied().ok_or_else(|| format!("the value {name:?} is not there where it is needed"))
    }
}

impl Plan {
    /// Reads and checks a graph.
    ///
    /// # Errors
    /// `Model` that says why it is none that may run.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self> {
        Self::parse(bytes).map_err(|why| Error::new(ErrorKind::Model, why))
    }

    fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        let model = message::read(bytes)?;
        let sets: Vec<_> =
            model.opset_import.iter().map(|set| (set.domain.as_deref().unwrap_or(""), set.version)).collect();
        if sets != [("", Some(OPSET))] {
            return Err(format!("it uses operator sets {sets:?}; expected the default one at version {OPSET}"));
        }
        let graph = model.graph.ok_or("it has no graph")?;
        if graph.node.len().max(graph.initializer.len()) > MOST {
            return Err(format!("it has more than {MOST} nodes or weights"));
        }
        let mut names = Names::default();
        let mut weights = Vec::new();
        for tensor in &graph.initializer {
            let name = tensor.name.as_deref().unwrap_or_default();
            weights.push((names.define(name)?, Known::read(tensor).map_err(|why| format!("{name}: {why}"))?));
        }
        let mut inputs = Vec::new();
        for input in &graph.input {
            let name = input.name.clone().unwrap_or_default();
            let number = names.define(&name)?;
            inputs.push((name, number));
        }
        let mut steps = Vec::with_capacity(graph.node.len());
        for node in graph.node {
            let name = node.name.clone().unwrap_or_default();
            steps.push(step(node, &mut names).map_err(|why| format!("node {name:?}: {why}"))?);
        }
        let mut outputs = Vec::new();
        for output in &graph.output {
            let name = output.name.clone().unwrap_or_default();
            let number = names.find(&name)?;
            outputs.push((name, number));
        }
        let mut needed: HashSet<usize> = outputs.iter().map(|(_, number)| *number).collect();
        for step in steps.iter_mut().rev() {
            let all = step.inputs.iter().flatten().chain(&step.outputs);
            step.last = all.copied().filter(|&number| needed.insert(number)).collect();
        }
        let plan = Self { steps, inputs, outputs, weights, values: names.numbers.len() };
        // The runtime computes what is constant when it loads a graph.
        let (cost, _) = plan.cost(None)?;
        if cost.work > CONSTANT_WORK || cost.values > CONSTANT_VALUES {
            return Err(format!(
                "what depends on no input takes {} multiplications and {} values; at most {CONSTANT_WORK} and \
                 {CONSTANT_VALUES} are allowed",
                cost.work, cost.values
            ));
        }
        Ok(plan)
    }

    /// What a run takes on inputs of these shapes, all of f32, and all that is known of its values then; without inputs
    /// the same of what depends on none.
    ///
    /// # Errors
    /// Why that cannot be known.
    fn cost(&self, shapes: Option<&[Shaped<'_>]>) -> std::result::Result<(Cost, Vec<Option<Known>>), String> {
        let mut values: Vec<Option<Known>> = vec![None; self.values];
        for (number, weight) in &self.weights {
            values[*number] = Some(weight.clone());
        }
        for (name, number) in self.inputs.iter().filter(|_| shapes.is_some()) {
            let shape = shapes.unwrap_or_default().iter().find(|(given, _)| given == name);
            let (_, dims) = shape.ok_or_else(|| format!("there is no input {name:?} in the contract"))?;
            values[*number] = Some(Known::of(Element::F32, dims.to_vec()));
        }
        let mut live = 0u64;
        for known in values.iter().flatten() {
            live = live.saturating_add(count(&known.dims)? as u64);
        }
        let mut cost = Cost { work: 0, values: live };
        for step in &self.steps {
            if step.inputs.iter().flatten().any(|&number| values[number].is_none()) {
                continue;
            }
            let inputs: Vec<Option<&Known>> =
                step.inputs.iter().map(|input| input.and_then(|number| values[number].as_ref())).collect();
            let at = |why: String| format!("node {:?} ({}): {why}", step.name, step.operator);
            let outcome = shapes::infer(step, &inputs).map_err(at)?;
            cost.work = cost.work.saturating_add(outcome.work);
            if outcome.outputs.len() != step.outputs.len() {
                return Err(at(format!("{} outputs; expected {}", step.outputs.len(), outcome.outputs.len())));
            }
            for (&number, output) in step.outputs.iter().zip(outcome.outputs) {
                live = live.saturating_add(count(&output.dims).map_err(at)? as u64);
                values[number] = Some(output);
            }
            cost.values = cost.values.max(live);
            for known in step.last.iter().filter_map(|&number| values[number].as_ref()) {
                live = live.saturating_sub(count(&known.dims).map_err(at)? as u64);
            }
        }
        Ok((cost, values))
    }

    /// Checks that a run on inputs of these shapes gives outputs of those, and stays within limits; returns what it
    /// takes.
    ///
    /// # Errors
    /// `Model` where it does not, or that cannot be known.
    pub(crate) fn check(&self, inputs: &[Shaped<'_>], outputs: &[Shaped<'_>]) -> Result<Cost> {
        let bad = |why: String| Error::new(ErrorKind::Model, why);
        let (cost, values) = self.cost(Some(inputs)).map_err(bad)?;
        let mut given = 0u64;
        for (_, dims) in inputs.iter().chain(outputs) {
            given = given.saturating_add(count(dims).map_err(bad)? as u64);
        }
        for (name, dims) in outputs {
            let number = self.outputs.iter().find(|(known, _)| known == name).map(|(_, number)| *number);
            let found = number.and_then(|number| values[number].as_ref());
            let found = found.ok_or_else(|| bad(format!("there is no output {name:?}")))?;
            if found.dims != *dims {
                return Err(bad(format!("its output {name:?} has shape {:?}; expected {dims:?}", found.dims)));
            }
        }
        let work = given.saturating_mul(WORK).saturating_add(CONSTANT_WORK);
        let most = given.saturating_mul(VALUES).saturating_add(CONSTANT_VALUES);
        if cost.work > work || cost.values > most {
            return Err(bad(format!(
                "it would take {} multiplications and {} values for {given} values in and out; at most {work} and \
                 {most} are allowed",
                cost.work, cost.values
            )));
        }
        Ok(cost)
    }
}

fn step(node: message::Node, names: &mut Names) -> std::result::Result<Step, String> {
    let kind = node.op_type.as_deref().unwrap_or_default();
    if node.domain.as_deref().is_some_and(|domain| !domain.is_empty()) {
        return Err(format!("its operator {kind:?} is of another domain, {:?}", node.domain.unwrap_or_default()));
    }
    let operator = operators::find(kind)
        .ok_or_else(|| format!("operator {kind:?} is none of those that a model may use (docs/model-package.md)"))?;
    let (fewest, most) = operator.inputs;
    if !(fewest..=most).contains(&node.input.len()) {
        return Err(format!("{kind} has {} inputs; expected {fewest} to {most}", node.input.len()));
    }
    let mut seen = HashSet::new();
    let mut tensor = None;
    for attribute in &node.attribute {
        let name = attribute.name.as_deref().unwrap_or_default();
        let known = operator.attributes.iter().find(|(known, _)| *known == name);
        let Some((_, kind)) = known.filter(|(_, kind)| has(attribute, *kind)).filter(|_| seen.insert(name.to_owned()))
        else {
            return Err(format!("the attribute {name:?} of {} is none that it may have", operator.name));
        };
        if *kind == Kind::Tensor {
            tensor = attribute.t.as_ref().map(Known::read).transpose()?;
        }
    }
    let number = |name: &String| if name.is_empty() { Ok(None) } else { names.find(name).map(Some) };
    let inputs = node.input.iter().map(number).collect::<std::result::Result<Vec<_>, _>>()?;
    let outputs = node.output.iter().map(|name| names.define(name)).collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(Step {
        name: node.name.unwrap_or_default(),
        operator: operator.name,
        rule: operator.rule,
        inputs,
        outputs,
        last: Vec::new(),
        attributes: node.attribute.into_iter().map(|attribute| Attribute { t: None, ..attribute }).collect(),
        tensor,
    })
}

/// Whether an attribute says that it is of a kind, and has the value of that and of no other.
fn has(attribute: &Attribute, kind: Kind) -> bool {
    let there = [attribute.f.is_some(), attribute.i.is_some(), attribute.s.is_some(), attribute.t.is_some()];
    let single = [Kind::Float, Kind::Int, Kind::Text, Kind::Tensor];
    attribute.kind == Some(kind.number())
        && single.iter().zip(there).all(|(own, there)| there == (*own == kind))
        && (attribute.ints.is_empty() || kind == Kind::Ints)
}

#[cfg(test)]
pub(crate) mod tests;
