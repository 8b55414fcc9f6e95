//! Agreement of ranks: whether all are well, and whether their facts are the same.

use super::communicator::Communicator;
use crate::error::{Error, ErrorKind, Result};

/// Facts that one agreement compares, at most.
const FACTS: usize = 4;
/// Words of an agreement.
const WORDS: usize = 1 + 2 * FACTS;

/// Whether every rank is well and has the same facts: `Ok` on all, or on all the same error, of the lowest rank that
/// has one. Collective.
pub(super) fn agree(comm: &dyn Communicator, facts: &[(&str, u64)], error: Option<&Error>) -> Result<()> {
    agree_on(comm, facts, error).outcome
}

/// This rank's own result, where all ranks are well; else the same error on all. Collective.
pub(super) fn agreed<O>(comm: &dyn Communicator, own: Result<O>) -> Result<O> {
    agree(comm, &[], own.as_ref().err())?;
    own
}

/// The outcome of [`agree_on`].
pub(super) struct Met {
    /// Whether all ranks have the same facts, be they well or not.
    pub(super) same: bool,
    /// The largest first fact of all ranks.
    pub(super) largest: u64,
    pub(super) outcome: Result<()>,
}

/// As [`agree`], with what is known of the facts where a rank is not well.
pub(super) fn agree_on(comm: &dyn Communicator, facts: &[(&str, u64)], error: Option<&Error>) -> Met {
    // Always as many words, so that ranks in different calls meet here too.
    let mut words = [0u64; WORDS];
    match meet(comm, facts, error, &mut words, &mut []) {
        Ok(()) => Met { same: alike(&words), largest: words[1], outcome: judge(comm, facts, error, &words) },
        Err(error) => Met { same: false, largest: 0, outcome: Err(error) },
    }
}

/// Whether every rank is well, as [`agree`], and in the same reduction the largest of all ranks' `most` and the sums of
/// their `sums`. Each reduction is a chance to wait for a rank that the system has put aside, so there are as few as
/// can be.
pub(super) fn agree_and_reduce(
    comm: &dyn Communicator,
    error: Option<&Error>,
    most: &mut [u64],
    sums: &mut [f64],
) -> Result<()> {
    let mut words = vec![0u64; WORDS];
    words.extend_from_slice(most);
    meet(comm, &[], error, &mut words, sums)?;
    judge(comm, &[], error, &words)?;
    most.copy_from_slice(&words[WORDS..]);
    Ok(())
}

/// Reduces the words of an agreement, and the sums that go with them.
fn meet(
    comm: &dyn Communicator,
    facts: &[(&str, u64)],
    error: Option<&Error>,
    words: &mut [u64],
    sums: &mut [f64],
) -> Result<()> {
    words[0] = if error.is_some() { (comm.size() - comm.rank()) as u64 } else { 0 };
    for (k, (_, fact)) in facts.iter().enumerate() {
        (words[1 + 2 * k], words[2 + 2 * k]) = (*fact, !*fact);
    }
    comm.reduce(words, sums)
}

/// The verdict of an agreement's reduced words.
fn judge(comm: &dyn Communicator, facts: &[(&str, u64)], error: Option<&Error>, words: &[u64]) -> Result<()> {
    let (rank, size) = (comm.rank(), comm.size());
    if words[0] > 0 {
        let root = size - words[0] as usize;
        let own = error.map(|error| (error.kind(), error.message()));
        return Err(broadcast_error(comm, root, own)?);
    }
    if alike(words) {
        return Ok(());
    }
    // Some rank has other facts than rank 0: which, and what?
    let mut first: Vec<u8> = facts.iter().flat_map(|(_, fact)| fact.to_le_bytes()).collect();
    comm.broadcast(0, &mut first)?;
    let differs = facts.iter().zip(first.chunks(8)).find(|((_, fact), first)| fact.to_le_bytes() != **first);
    let mut lowest = [if differs.is_some() { (size - rank) as u64 } else { 0 }];
    comm.reduce(&mut lowest, &mut [])?;
    let message = differs
        .map(|((what, _), _)| format!("{what} differs from what rank 0 was told; all ranks must be told the same"));
    let own = message.as_deref().map(|message| (ErrorKind::InvalidArgument, message));
    Err(broadcast_error(comm, size - lowest[0] as usize, own)?)
}

/// Whether the largest of every fact is also the smallest; facts that no rank has are no words.
fn alike(words: &[u64]) -> bool {
    words[1..WORDS].chunks_exact(2).all(|word| word[0] == !word[1] || word == [0, 0])
}

/// The error of rank `root` on all ranks.
fn broadcast_error(comm: &dyn Communicator, root: usize, own: Option<(ErrorKind, &str)>) -> Result<Error> {
    let mut bytes = Vec::new();
    if let Some((kind, message)) = own.filter(|_| comm.rank() == root) {
        bytes.push(kind as u8);
        bytes.extend_from_slice(message.as_bytes());
    }
    comm.broadcast(root, &mut bytes)?;
    let (&code, text) =
        bytes.split_first().ok_or_else(|| Error::internal("an error was agreed on that no rank has"))?;
    let kind = ErrorKind::from_code(code.into()).unwrap_or(ErrorKind::Internal);
    let text = String::from_utf8_lossy(text);
    // One process alone need not be told which one.
    let message = if comm.size() == 1 { text.into_owned() } else { format!("rank {root}: {text}") };
    Ok(Error::new(kind, message))
}
