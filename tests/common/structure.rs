//! A second reader of the stream's outer structure, written from docs/format.md and not from the library, and the
//! sealing of streams that a test has changed.

use std::ops::Range;

/// Where the parts of a stream lie.
#[derive(Clone, Debug, PartialEq)]
pub struct Structure {
    /// Bytes of a value.
    pub size: usize,
    pub dims: Vec<usize>,
    /// Whether the axes are named.
    pub axes: bool,
    /// 0: constant, 1: lossless, 2: segments, 3: raw, 4: repeats, 5: logarithms.
    pub content: u8,
    /// The content that logarithms have.
    pub of_logarithms: Option<u8>,
    /// Sections that stand beside logarithms, before theirs.
    pub beside: usize,
    /// Whether segments work in f64.
    pub double: bool,
    /// Whether the frames of a segment are named.
    pub segment: bool,
    /// Of segments: the byte of flags.
    pub flags: usize,
    /// How many patterns masked points have.
    pub specials: usize,
    /// Whether points are clamped after corrections.
    pub clamped: bool,
    pub model: bool,
    /// The checksum of each section, in the table.
    pub checksums: Vec<usize>,
    /// The header's checksum.
    pub header_checksum: usize,
    pub sections: Vec<Range<usize>>,
}

/// One segment's method, and the lengths of its byte strings: side, mask, latents, coefficients, corrections.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SegmentStructure {
    /// 0: transform, 1: previous, 2: hierarchical, 3: latents, 4: closed-loop prediction.
    pub way: u8,
    pub mixing: bool,
    /// Whether indices are coded by tables.
    pub tables: bool,
    pub basis: bool,
    pub uses_model: bool,
    pub enhanced: bool,
    /// Of closed-loop prediction: 0 by levels, 1 and 2 Lorenzo's, 3 fitted; and whether values lie on a lattice.
    pub predictor: u8,
    pub lattice: bool,
    /// Whether predictions are offset.
    pub balanced: bool,
    pub window: usize,
    pub lengths: [usize; 5],
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn u8(&mut self) -> u8 {
        self.at += 1;
        self.bytes[self.at - 1]
    }

    fn varint(&mut self) -> usize {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = self.u8();
            value |= usize::from(byte & 127) << shift;
            if byte < 128 {
                break;
            }
        }
        value
    }

    fn u32(&mut self) -> u32 {
        self.at += 4;
        u32::from_le_bytes(self.bytes[self.at - 4..self.at].try_into().unwrap())
    }
}

impl Structure {
    /// What a header says, from its magic on; no sections yet.
    fn head(c: &mut Cursor<'_>) -> Self {
        let bytes = c.bytes;
        let start = c.at;
        assert!(&bytes[start..start + 4] == b"FPRS" && matches!(bytes[start + 4..start + 6], [1..=9, 0]));
        c.at += 6;
        let size = if c.u8() == 0 { 4 } else { 8 };
        let ndim = c.u8();
        let dims: Vec<usize> = (0..ndim).map(|_| c.varint()).collect();
        let named = c.u8();
        let axes = named > 0;
        c.at += [0, 3, 4][usize::from(named)];
        c.at += 1 + 4 * 8; // bound kind and value, NRMSE, largest error, range
        let content = c.u8();
        let (mut double, mut segment, mut specials, mut clamped, mut model) = (false, false, 0, false, false);
        let mut flags_at = 0;
        match content {
            0 => c.at += size,
            1 | 3 | 4 if bytes[start + 4] < 4 => {}
            1 | 3 | 4 => {
                specials = usize::from(c.u8());
                c.at += specials * size;
            }
            2 => {
                c.at += 8 + 2 + 8 + 8; // mean, exponent, min, max
                flags_at = c.at;
                let flags = c.u8();
                double = flags & 1 == 1;
                c.at += if flags & 2 != 0 { 4 } else { 0 }; // the frame before
                c.at += if flags & 16 != 0 { 8 } else { 0 }; // what it has in place of the mean
                segment = flags & 4 != 0;
                clamped = flags & 8 != 0;
                c.at += if segment { 2 } else { 0 };
                specials = usize::from(c.u8());
                c.at += specials * size;
                let name = usize::from(c.u8());
                model = name > 0;
                c.at += match name {
                    0 => 0,
                    255 => 8,
                    _ => name + 8,
                };
            }
            5 => {
                specials = usize::from(c.u8());
                c.at += specials * size + 1; // how many of them mark points without data
                let held = Self::head(c);
                let beside = dims.iter().product::<usize>().div_ceil(1 << 20);
                return Self { size, dims, axes, content, of_logarithms: Some(held.content), beside, specials, ..held };
            }
            other => panic!("content {other}"),
        }
        Self {
            size,
            dims,
            axes,
            content,
            of_logarithms: None,
            beside: 0,
            double,
            segment,
            flags: flags_at,
            specials,
            clamped,
            model,
            checksums: Vec::new(),
            header_checksum: 0,
            sections: Vec::new(),
        }
    }

    /// The structure of a sound stream; panics for others.
    pub fn of(bytes: &[u8]) -> Self {
        let mut c = Cursor { bytes, at: 0 };
        let head = Self::head(&mut c);
        // The number of sections follows from the cut of the field; here it is found as the one whose lengths and
        // checksum add up, so that this reader does not depend on the library's cut.
        let mut lengths = Vec::new();
        let mut checksums = Vec::new();
        loop {
            let total: usize = lengths.iter().sum();
            if c.at + 4 + total == bytes.len() {
                let stored = u32::from_le_bytes(bytes[c.at..c.at + 4].try_into().unwrap());
                if stored == crc32fast::hash(&bytes[..c.at]) {
                    break;
                }
            }
            lengths.push(c.varint());
            checksums.push(c.at);
            c.u32();
        }
        let header_checksum = c.at;
        let mut start = c.at + 4;
        let sections = lengths
            .iter()
            .map(|length| {
                start += length;
                start - length..start
            })
            .collect();
        Self { checksums, header_checksum, sections, ..head }
    }

    /// Makes all checksums right again after bytes of the stream were changed in place.
    pub fn seal(&self, bytes: &mut [u8]) {
        for (section, at) in self.sections.iter().zip(&self.checksums) {
            let crc = crc32fast::hash(&bytes[section.clone()]);
            bytes[*at..at + 4].copy_from_slice(&crc.to_le_bytes());
        }
        let crc = crc32fast::hash(&bytes[..self.header_checksum]);
        bytes[self.header_checksum..][..4].copy_from_slice(&crc.to_le_bytes());
    }

    /// The structure of segment `index`.
    pub fn segment(&self, bytes: &[u8], index: usize) -> SegmentStructure {
        let bytes = &bytes[self.sections[index].clone()];
        let mut c = Cursor { bytes, at: 0 };
        let first = c.u8();
        let (way, mixing) = (first & 15, first >> 4 & 1 == 1);
        if way == 4 {
            let predictor = c.u8() & 3;
            c.at += 1 + 8 + self.size; // growth, bin, origin
            let mask = c.varint();
            let lengths = [c.at, mask, 0, bytes.len() - c.at - mask, 0];
            let lattice = first >> 5 & 1 == 1;
            let balanced = first >> 6 & 1 == 1;
            return SegmentStructure { way, mixing, predictor, lattice, balanced, lengths, ..Default::default() };
        }
        let second = c.u8();
        let (window, tables) = (usize::from(second & 127), second > 127);
        let enhanced = first >> 7 == 1;
        c.at += 1 + 2 + if enhanced { 3 } else { 0 }; // layer factor, step, noise and views
        let basis = first >> 5 & 1 == 1;
        c.at += if basis { 2 * window * window } else { 0 };
        let lengths = std::array::from_fn(|_| c.varint());
        assert_eq!(c.at + lengths.iter().sum::<usize>(), bytes.len(), "a segment's lengths do not add up");
        SegmentStructure {
            way,
            mixing,
            tables,
            basis,
            uses_model: first >> 6 & 1 == 1,
            enhanced,
            predictor: 0,
            lattice: false,
            balanced: false,
            window,
            lengths,
        }
    }
}
