//! The special bit patterns of a field, and their classes.

use std::collections::HashMap;

/// The most special patterns of a field; with more it is coded without loss.
pub(crate) const MAX_SPECIALS: usize = 255;
/// As many classes of a mask take four bits; more take eight.
pub(crate) const FEW_SPECIALS: usize = 15;

/// The distinct bit patterns of a field that are returned bit-exact: NaNs with their payloads, ±Inf, the fill value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Specials {
    patterns: Vec<u64>,
    /// Their classes, where there are many.
    classes: HashMap<u64, u8>,
}

impl Specials {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a bit pattern (widened) unless it is there; false where there is no room for it.
    pub(crate) fn add(&mut self, bits: u64) -> bool {
        if self.class_of(bits).is_some() {
            return true;
        }
        if self.patterns.len() == MAX_SPECIALS {
            return false;
        }
        self.patterns.push(bits);
        if self.patterns.len() > FEW_SPECIALS {
            let known = if self.classes.is_empty() { 0 } else { self.patterns.len() - 1 };
            self.classes.extend((known..).zip(&self.patterns[known..]).map(|(k, &bits)| (bits, k as u8 + 1)));
        }
        true
    }

    /// The class of a bit pattern, from 1.
    #[inline]
    pub(crate) fn class_of(&self, bits: u64) -> Option<u8> {
        if self.patterns.len() > FEW_SPECIALS {
            return self.classes.get(&bits).copied();
        }
        self.patterns.iter().position(|&p| p == bits).map(|i| i as u8 + 1)
    }

    /// The bit pattern of a class.
    pub(crate) fn bits(&self, class: u8) -> Option<u64> {
        self.patterns.get(usize::from(class).checked_sub(1)?).copied()
    }

    /// True where the field has none.
    pub(crate) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// All patterns, by class.
    pub(crate) fn patterns(&self) -> &[u64] {
        &self.patterns
    }
}
