//! The MPI calls, each with its return code checked, on slices of Rust. All of this crate's `unsafe` that is not the C
//! ABI's is here and, for MPI-IO, in `file.rs`. The collectives of the `mpi` crate drop return codes, and it has no
//! MPI-IO.

use fieldpress::archive::Placed;
use fieldpress::{Error, ErrorKind, Result};
use mpi::ffi;
use std::ffi::{c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

/// Bytes that one call of MPI moves at most; its counts are `int`.
pub(crate) const PIECE: usize = 1 << 30;
/// Bytes that one rank gathers at most; places in the buffer are `int`, too.
const MOST_GATHERED: u64 = c_int::MAX as u64;

fn text_of(code: c_int) -> String {
    // MPI_MAX_ERROR_STRING is 512 or less everywhere.
    let mut text = [0 as c_char; 1024];
    let mut length = 0;
    // SAFETY: `text` is longer than any message, and `length` is a local.
    unsafe { ffi::MPI_Error_string(code, text.as_mut_ptr(), &mut length) };
    let bytes = text.iter().take(length.max(0) as usize).map(|&byte| byte as u8).collect::<Vec<u8>>();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn check(kind: ErrorKind, call: &str, code: c_int) -> Result<()> {
    // MPI_SUCCESS is 0 by the standard.
    if code == 0 { Ok(()) } else { Err(Error::new(kind, format!("{call}: {}", text_of(code)))) }
}

pub(crate) fn collective(call: &str, code: c_int) -> Result<()> {
    check(ErrorKind::Runtime, call, code)
}

pub(crate) fn file(call: &str, code: c_int) -> Result<()> {
    check(ErrorKind::Io, call, code)
}

/// A communicator of our own, whose errors are returned.
#[derive(Debug)]
pub(crate) struct Comm {
    pub(crate) raw: ffi::MPI_Comm,
    pub(crate) rank: usize,
    pub(crate) size: usize,
}

/// Whether MPI runs: initialised and not finalised.
pub(crate) fn is_running() -> bool {
    let (mut initialised, mut finalised) = (0, 0);
    // SAFETY: both may be called at any time; the arguments are locals.
    unsafe {
        ffi::MPI_Initialized(&mut initialised);
        ffi::MPI_Finalized(&mut finalised);
    }
    initialised != 0 && finalised == 0
}

/// # Errors
/// `InvalidArgument` where MPI does not run.
pub(crate) fn check_running() -> Result<()> {
    if !is_running() {
        return Err(Error::invalid("MPI does not run: call MPI_Init first, and open archives before MPI_Finalize"));
    }
    Ok(())
}

/// Checks a communicator from C.
pub(crate) fn check_comm(raw: ffi::MPI_Comm) -> Result<()> {
    check_running()?;
    // SAFETY: a constant of MPI.
    if raw == unsafe { ffi::RSMPI_COMM_NULL } {
        return Err(Error::invalid("the communicator is MPI_COMM_NULL"));
    }
    let mut between = 0;
    // SAFETY: MPI runs, and the handle is not null; that it is a communicator is the caller's promise.
    collective("MPI_Comm_test_inter", unsafe { ffi::MPI_Comm_test_inter(raw, &mut between) })?;
    if between != 0 {
        return Err(Error::invalid("the communicator is an intercommunicator; give one of the ranks that write"));
    }
    Ok(())
}

impl Comm {
    /// A duplicate; collective.
    pub(crate) fn duplicate(raw: ffi::MPI_Comm) -> Result<Self> {
        let mut new = MaybeUninit::uninit();
        // SAFETY: `raw` was checked; MPI stores a handle where it succeeds.
        let new = unsafe {
            collective("MPI_Comm_dup", ffi::MPI_Comm_dup(raw, new.as_mut_ptr()))?;
            new.assume_init()
        };
        Self::own(new)
    }

    /// The ranks of the same colour; collective.
    pub(crate) fn split(&self, color: usize) -> Result<Self> {
        let color = c_int::try_from(color).map_err(|_| Error::invalid("too many groups of ranks"))?;
        let mut new = MaybeUninit::uninit();
        // SAFETY: our own communicator; MPI stores a handle where it succeeds.
        let new = unsafe {
            collective("MPI_Comm_split", ffi::MPI_Comm_split(self.raw, color, self.rank as c_int, new.as_mut_ptr()))?;
            new.assume_init()
        };
        Self::own(new)
    }

    fn own(raw: ffi::MPI_Comm) -> Result<Self> {
        let (mut rank, mut size) = (0, 0);
        // SAFETY: a communicator of ours; the arguments are locals.
        unsafe {
            collective("MPI_Comm_set_errhandler", ffi::MPI_Comm_set_errhandler(raw, ffi::RSMPI_ERRORS_RETURN))?;
            collective("MPI_Comm_rank", ffi::MPI_Comm_rank(raw, &mut rank))?;
            collective("MPI_Comm_size", ffi::MPI_Comm_size(raw, &mut size))?;
        }
        Ok(Self { raw, rank: rank as usize, size: size as usize })
    }

    /// Gives the communicator back; collective.
    pub(crate) fn free(mut self) -> Result<()> {
        if !is_running() {
            return Ok(());
        }
        // SAFETY: a communicator of ours, which nobody uses afterwards.
        collective("MPI_Comm_free", unsafe { ffi::MPI_Comm_free(&mut self.raw) })
    }

    /// Replaces each of `most` by the largest of all ranks' values, and each of `sums` by their sum: two reductions
    /// that are under way together.
    pub(crate) fn reduce(&self, most: &mut [u64], sums: &mut [f64]) -> Result<()> {
        // As signed numbers in the same order: MPICH 4.0 compares unsigned ones as if they were signed.
        const SIGN: u64 = 1 << 63;
        let own_most: Vec<i64> = most.iter().map(|&value| (value ^ SIGN) as i64).collect();
        let own_sums = sums.to_vec();
        let mut largest = vec![0i64; most.len()];
        let mut requests = Requests::default();
        // SAFETY: the buffers have as many elements as are said, of the type that is said, and outlive the wait.
        let started = unsafe {
            requests
                .start("MPI_Iallreduce", most.is_empty(), |request| {
                    let (sent, received) = (address(&own_most), address_mut(&mut largest, &mut 0));
                    let count = count(own_most.len())?;
                    Ok(ffi::MPI_Iallreduce(
                        sent,
                        received,
                        count,
                        ffi::RSMPI_INT64_T,
                        ffi::RSMPI_MAX,
                        self.raw,
                        request,
                    ))
                })
                .and(requests.start("MPI_Iallreduce", sums.is_empty(), |request| {
                    let (sent, received) = (address(&own_sums), address_mut(sums, &mut 0));
                    let count = count(own_sums.len())?;
                    Ok(ffi::MPI_Iallreduce(sent, received, count, ffi::RSMPI_DOUBLE, ffi::RSMPI_SUM, self.raw, request))
                }))
        };
        requests.wait().and(started)?;
        most.iter_mut().zip(largest).for_each(|(value, largest)| *value = largest as u64 ^ SIGN);
        Ok(())
    }

    /// The sums over the ranks before this one, and over all: two reductions that are under way together.
    pub(crate) fn place(&self, values: [u64; 2]) -> Result<Placed> {
        // Rank 0's result of the first is not defined by MPI, so it stays what it is here.
        let mut placed = Placed::default();
        let Placed { before, total } = &mut placed;
        let sent = address(&values);
        let mut requests = Requests::default();
        // SAFETY: two elements each, of the type that is said, which outlive the wait.
        let started = unsafe {
            let (kind, sum) = (ffi::RSMPI_UINT64_T, ffi::RSMPI_SUM);
            requests
                .start("MPI_Iexscan", false, |request| {
                    Ok(ffi::MPI_Iexscan(sent, before.as_mut_ptr().cast(), 2, kind, sum, self.raw, request))
                })
                .and(requests.start("MPI_Iallreduce", false, |request| {
                    Ok(ffi::MPI_Iallreduce(sent, total.as_mut_ptr().cast(), 2, kind, sum, self.raw, request))
                }))
        };
        requests.wait().and(started)?;
        if self.rank == 0 {
            placed.before = [0; 2];
        }
        Ok(placed)
    }

    /// As many ranks as share the largest node's memory; collective.
    pub(crate) fn ranks_per_node(&self) -> Result<usize> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: our own communicator, constants of MPI; MPI stores a handle where it succeeds.
        let node = unsafe {
            let (kind, key, info) = (ffi::RSMPI_COMM_TYPE_SHARED, self.rank as c_int, ffi::RSMPI_INFO_NULL);
            let code = ffi::MPI_Comm_split_type(self.raw, kind, key, info, raw.as_mut_ptr());
            collective("MPI_Comm_split_type", code)?;
            Self::own(raw.assume_init())?
        };
        let mut most = [node.size as u64];
        node.free()?;
        self.reduce(&mut most, &mut [])?;
        Ok(most[0] as usize)
    }

    /// Every rank's bytes at rank 0, one after another, and their lengths; nothing elsewhere. Together at most
    /// [`MOST_GATHERED`] bytes, which the callers see to.
    pub(crate) fn gather_flat(&self, bytes: &[u8]) -> Result<Option<(Vec<u8>, Vec<c_int>)>> {
        let own = count(bytes.len())?;
        let at_root = self.rank == 0;
        let mut lengths = vec![0 as c_int; if at_root { self.size } else { 0 }];
        // SAFETY: one element sent; at the root one received from each rank.
        collective("MPI_Gather", unsafe {
            ffi::MPI_Gather(
                (&raw const own).cast::<c_void>(),
                1,
                ffi::RSMPI_INT32_T,
                address_mut(&mut lengths, &mut 0),
                1,
                ffi::RSMPI_INT32_T,
                0,
                self.raw,
            )
        })?;
        let mut places = Vec::with_capacity(lengths.len());
        let mut total = 0 as c_int;
        for &length in &lengths {
            places.push(total);
            total += length;
        }
        let mut received = vec![0u8; total as usize];
        // SAFETY: `own` bytes sent; at the root each rank's length at its place, which add up to the buffer's.
        collective("MPI_Gatherv", unsafe {
            ffi::MPI_Gatherv(
                address(bytes),
                own,
                ffi::RSMPI_UINT8_T,
                address_mut(&mut received, &mut 0),
                lengths.as_ptr(),
                places.as_ptr(),
                ffi::RSMPI_UINT8_T,
                0,
                self.raw,
            )
        })?;
        Ok(at_root.then_some((received, lengths)))
    }

    /// Every rank's bytes at rank 0. `most`, what they are together or more, is an error on all ranks where it is more
    /// than one message holds.
    pub(crate) fn gather(&self, bytes: &[u8], most: u64) -> Result<Option<Vec<Vec<u8>>>> {
        if most > MOST_GATHERED {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("an index of {most} bytes is more than one message of MPI holds; put larger boxes"),
            ));
        }
        Ok(self.gather_flat(bytes)?.map(|(received, lengths)| {
            let mut rest = received.as_slice();
            let mut part = |&length: &c_int| {
                let (first, others) = rest.split_at(length as usize);
                rest = others;
                first.to_vec()
            };
            lengths.iter().map(&mut part).collect()
        }))
    }

    /// Rank `root`'s bytes on all ranks.
    pub(crate) fn broadcast(&self, root: usize, bytes: &mut Vec<u8>) -> Result<()> {
        let mut length = bytes.len() as u64;
        // SAFETY: one element on all ranks.
        collective("MPI_Bcast", unsafe {
            ffi::MPI_Bcast((&raw mut length).cast::<c_void>(), 1, ffi::RSMPI_UINT64_T, root as c_int, self.raw)
        })?;
        bytes.resize(length as usize, 0);
        for piece in bytes.chunks_mut(PIECE) {
            // SAFETY: as many bytes on all ranks, since the length is the root's.
            collective("MPI_Bcast", unsafe {
                ffi::MPI_Bcast(
                    piece.as_mut_ptr().cast::<c_void>(),
                    count(piece.len())?,
                    ffi::RSMPI_UINT8_T,
                    root as c_int,
                    self.raw,
                )
            })?;
        }
        Ok(())
    }
}

/// Operations that were started. All are waited for, also where one could not be started: MPI uses their buffers until
/// then.
#[derive(Default)]
struct Requests(Vec<(&'static str, ffi::MPI_Request)>);

impl Requests {
    /// Starts one, unless there is nothing to do, which all ranks must find alike.
    ///
    /// # Safety
    /// `start` gives MPI buffers that are alive, and not used by others, until [`Requests::wait`] has returned.
    unsafe fn start(
        &mut self,
        call: &'static str,
        nothing: bool,
        start: impl FnOnce(*mut ffi::MPI_Request) -> Result<c_int>,
    ) -> Result<()> {
        if nothing {
            return Ok(());
        }
        let mut request = MaybeUninit::uninit();
        collective(call, start(request.as_mut_ptr())?)?;
        // SAFETY: MPI stores a handle where it succeeds.
        self.0.push((call, unsafe { request.assume_init() }));
        Ok(())
    }

    /// Waits for all of them, with pauses: MPI's own waiting keeps a core busy, also where the rank that is waited for,
    /// or the disk that it writes to, needs that core.
    fn wait(self) -> Result<()> {
        let begin = Instant::now();
        let mut outcome = Ok(());
        for (call, mut request) in self.0 {
            loop {
                let mut done = 0;
                // SAFETY: a request of ours, which is not tested again after it is done or has failed.
                let tested = unsafe { ffi::MPI_Test(&mut request, &mut done, ffi::RSMPI_STATUS_IGNORE) };
                let tested = collective(call, tested);
                if done != 0 || tested.is_err() {
                    outcome = outcome.and(tested);
                    break;
                }
                pause(begin.elapsed());
            }
        }
        outcome
    }
}

/// Waits that are shorter than this are for ranks that are on their way.
const SHORT_WAIT: Duration = Duration::from_micros(100);
/// The longest pause: what one may add to each of the log2(ranks) rounds of a reduction.
const LONGEST_PAUSE: Duration = Duration::from_micros(200);

/// A pause in a wait that has taken so long: none at first, then at most a part of it, so that no wait gets much
/// longer.
fn pause(waited: Duration) {
    if waited < SHORT_WAIT {
        std::thread::yield_now();
    } else {
        std::thread::sleep((waited / 8).min(LONGEST_PAUSE));
    }
}

/// The address of what is sent. An empty slice's own is 1 for bytes, which is `MPI_IN_PLACE` for Open MPI.
pub(crate) fn address<T>(values: &[T]) -> *const c_void {
    static NOTHING: u64 = 0;
    if values.is_empty() { (&raw const NOTHING).cast() } else { values.as_ptr().cast() }
}

/// The address of what is received; see [`address`].
fn address_mut<T>(values: &mut [T], nothing: &mut u64) -> *mut c_void {
    if values.is_empty() { (&raw mut *nothing).cast() } else { values.as_mut_ptr().cast() }
}

pub(crate) fn count(len: usize) -> Result<c_int> {
    c_int::try_from(len).map_err(|_| Error::internal("more elements than an MPI call counts"))
}
