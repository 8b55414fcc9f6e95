//! This process among the others of its MPI job on the same node, as launchers tell it in the environment: which GPU is
//! its own, and how many threads it may use. No MPI is called.

use std::path::Path;

/// Variables that hold a process's rank on its node.
const LOCAL_RANK: [&str; 5] =
    ["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID", "MV2_COMM_WORLD_LOCAL_RANK", "PMI_LOCAL_RANK"];

/// Variables that hold the number of the job's processes on this node.
const LOCAL_SIZE: [&str; 5] = [
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    "MPI_LOCALNRANKS",
    "SLURM_NTASKS_PER_NODE",
    "MV2_COMM_WORLD_LOCAL_SIZE",
    "PMI_LOCAL_SIZE",
];

fn first_number(variables: &[&str]) -> Option<usize> {
    variables.iter().find_map(|name| std::env::var(name).ok()?.trim().parse().ok())
}

/// The GPU of this process: its local rank, wrapped around the node's GPUs.
pub(super) fn default_gpu() -> u32 {
    gpu_of_rank(first_number(&LOCAL_RANK).unwrap_or(0), visible_gpus())
}

fn gpu_of_rank(rank: usize, gpus: usize) -> u32 {
    u32::try_from(rank % gpus.max(1)).unwrap_or(0)
}

/// GPUs that CUDA will count: those of CUDA_VISIBLE_DEVICES where it is set, else the driver's.
fn visible_gpus() -> usize {
    if let Ok(visible) = std::env::var("CUDA_VISIBLE_DEVICES") {
        return visible.split(',').map(str::trim).take_while(|id| !id.is_empty() && *id != "-1").count();
    }
    std::fs::read_dir(Path::new("/proc/driver/nvidia/gpus")).map_or(0, |entries| entries.count())
}

/// Processors in the process's affinity mask.
pub(super) fn affinity() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Threads where none are asked for: the processors of the affinity mask; where the launcher left that mask at the
/// whole node, this process's share of them.
pub(crate) fn default_threads() -> usize {
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").ok().and_then(|list| count(&list));
    share(affinity(), online, first_number(&LOCAL_SIZE))
}

fn share(mask: usize, online: Option<usize>, ranks: Option<usize>) -> usize {
    let bound = online.is_none_or(|online| mask < online);
    if bound { mask } else { (mask / ranks.unwrap_or(1).max(1)).max(1) }
}

/// The length of a list of processors such as `0-3,8,10-11`.
fn count(list: &str) -> Option<usize> {
    let part = |part: &str| match part.split_once('-') {
        Some((first, last)) => (last.parse::<usize>().ok()? + 1).checked_sub(first.parse().ok()?),
        None => part.parse::<usize>().ok().map(|_| 1),
    };
    list.trim().split(',').map(part).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_share_the_gpus_of_their_node() {
        assert_eq!([0, 1, 2, 3, 4].map(|rank| gpu_of_rank(rank, 4)), [0, 1, 2, 3, 0]);
        assert_eq!([0, 5].map(|rank| gpu_of_rank(rank, 0)), [0, 0]);
    }

    #[test]
    fn ranks_share_the_processors_of_an_unbound_node() {
        assert_eq!(share(16, Some(64), Some(4)), 16, "the launcher bound this rank");
        assert_eq!(share(64, Some(64), Some(4)), 16);
        assert_eq!(share(64, Some(64), None), 64);
        assert_eq!(share(2, Some(2), Some(8)), 1);
        assert_eq!(share(8, None, Some(4)), 8);
        assert!(default_threads() >= 1);
    }

    #[test]
    fn processor_lists_are_counted() {
        assert_eq!(["0-3,8,10-11\n", "0\n", "0-127"].map(count), [Some(7), Some(1), Some(128)]);
        assert_eq!(["", "x", "5-2"].map(count), [None, None, None]);
    }
}
