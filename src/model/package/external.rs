//! Finds tensors of an ONNX graph whose values lie in another file, by walking its protocol buffers.
//!
//! In: the bytes of a graph, from anyone. Out: whether some tensor is stored elsewhere. Bytes that are no graph have
//! none: ONNX Runtime refuses those.

use crate::bytes::Reader;

/// A message that has tensors, or messages that have some, below it (onnx.proto of ONNX 1.17).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Function,
    Sparse,
    Tensor,
}

/// In which field of which message what lies.
const BELOW: &[(Message, u64, Message)] = &[
    (Message::Model, 7, Message::Graph),
    (Message::Model, 25, Message::Function),
    (Message::Graph, 1, Message::Node),
    (Message::Graph, 5, Message::Tensor),
    (Message::Graph, 15, Message::Sparse),
    (Message::Node, 5, Message::Attribute),
    (Message::Attribute, 5, Message::Tensor),
    (Message::Attribute, 6, Message::Graph),
    (Message::Attribute, 10, Message::Tensor),
    (Message::Attribute, 11, Message::Graph),
    (Message::Attribute, 22, Message::Sparse),
    (Message::Attribute, 23, Message::Sparse),
    (Message::Function, 7, Message::Node),
    (Message::Function, 11, Message::Attribute),
    (Message::Sparse, 1, Message::Tensor),
    (Message::Sparse, 2, Message::Tensor),
];
/// Of `TensorProto`: the names of a file and a place in it, and where the values are (1: in that file).
const EXTERNAL_DATA: u64 = 13;
const DATA_LOCATION: u64 = 14;
/// Deeper graphs are taken for such that have some: ours are flat, and bytes from anyone must not exhaust the stack.
const DEEPEST: usize = 64;

/// Whether an ONNX graph has a tensor whose values are in another file.
pub(super) fn stores_elsewhere(graph: &[u8]) -> bool {
    walk(Message::Model, graph, 0)
}

fn walk(message: Message, bytes: &[u8], depth: usize) -> bool {
    if depth > DEEPEST {
        return true;
    }
    let mut reader = Reader::new(bytes);
    while let Some((field, value)) = next(&mut reader) {
        let found = match (message, field, value) {
            (Message::Tensor, EXTERNAL_DATA, Value::Bytes(_)) => true,
            (Message::Tensor, DATA_LOCATION, Value::Number(place)) => place != 0,
            (_, _, Value::Bytes(part)) => BELOW
                .iter()
                .find(|(parent, number, _)| (*parent, *number) == (message, field))
                .is_some_and(|&(_, _, child)| walk(child, part, depth + 1)),
            _ => false,
        };
        if found {
            return true;
        }
    }
    false
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

/// The next field of a message and its number; `None` at the end, and where the bytes are no message.
fn next<'a>(reader: &mut Reader<'a>) -> Option<(u64, Value<'a>)> {
    let tag = varint(reader)?;
    let value = match tag & 7 {
        0 => Value::Number(varint(reader)?),
        1 => reader.bytes(8).map(|_| Value::Other).ok()?,
        2 => {
            let length = usize::try_from(varint(reader)?).ok()?;
            Value::Bytes(reader.bytes(length).ok()?)
        }
        5 => reader.bytes(4).map(|_| Value::Other).ok()?,
        _ => return None,
    };
    Some((tag >> 3, value))
}

/// A number in groups of seven bits, lowest first, in at most ten bytes. Unlike [`Reader::varint`] it drops bits beyond
/// 64, as readers of protocol buffers do: what those accept must not hide from this one.
fn varint(reader: &mut Reader<'_>) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = reader.u8().ok()?;
        number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::Package;
    use super::*;
    use proptest::prelude::*;

    /// A field that holds bytes; its tag and length are varints of two bytes.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let length = [content.len() as u8 | 0x80, (content.len() >> 7) as u8];
        [&[number << 3 & 0x7f | 2 | 0x80, number >> 4][..], &length, content].concat()
    }

    #[test]
    fn tensors_in_other_files_are_found_wherever_they_are() {
        let location = field(13, &[&b"\x0a\x08location"[..], b"\x12\x0bweights.bin"].concat());
        for tensor in [location, b"\x70\x01".to_vec()] {
            let tensor = [&b"\x08\x01\x10\x01\x42\x01w"[..], &tensor].concat();
            let initializer = field(7, &field(5, &tensor));
            let constant = field(7, &field(1, &field(5, &field(5, &tensor))));
            let branch = field(7, &field(1, &field(5, &field(6, &field(5, &tensor)))));
            let sparse = field(7, &field(15, &field(1, &tensor)));
            let function = field(25, &field(7, &field(5, &field(10, &tensor))));
            for graph in [initializer, constant, branch, sparse, function] {
                assert!(stores_elsewhere(&graph));
            }
        }
        // Its own values, and inputs and metadata of that name, are no such thing.
        for inside in [b"\x70\x00".to_vec(), field(9, &[0; 4]), field(8, b"location")] {
            assert!(!stores_elsewhere(&field(7, &field(5, &inside))));
        }
        assert!(!stores_elsewhere(&field(7, &field(1, &field(1, b"location")))));
        assert!(!stores_elsewhere(&field(14, &field(1, b"location"))));
    }

    #[test]
    fn the_shipped_graphs_hold_their_weights() {
        let package = Package::builtin().unwrap();
        for (name, bytes) in package.files.iter().filter(|(name, _)| name.ends_with(".onnx")) {
            assert!(!stores_elsewhere(bytes), "{name}");
            // Protocol buffers merge what comes twice: one more initializer.
            assert!(stores_elsewhere(&[&**bytes, &field(7, &field(5, b"\x70\x01"))].concat()), "{name}");
        }
    }

    #[test]
    fn graphs_without_end_are_refused() {
        let nested = |levels| (0..levels).fold(Vec::new(), |inner, _| field(1, &field(5, &field(6, &inner))));
        assert!(!stores_elsewhere(&field(7, &nested(15))));
        assert!(stores_elsewhere(&field(7, &nested(30))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            stores_elsewhere(&bytes);
        }
    }
}
