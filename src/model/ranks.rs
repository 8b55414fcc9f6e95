//! This process among the others of its MPI job on the same node, as launchers tell it in the environment: which GPU is
//! its own, and how many threads it may use. No MPI is called.

use std::path::Path;

/// Variables that hold a process's rank on its node.
const LOCAL_RANK: [&str; 7] = [
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "MPI_LOCALRANKID",
    "PALS_LOCAL_RANKID",
    "FLUX_TASK_LOCAL_ID",
    "SLURM_LOCALID",
    "MV2_COMM_WORLD_LOCAL_RANK",
    "PMI_LOCAL_RANK",
];

/// Variables that hold the number of the job's processes on this node; Slurm writes `4(x2),3` for three nodes.
const LOCAL_SIZE: [&str; 7] = [
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    "MPI_LOCALNRANKS",
    "PALS_LOCAL_SIZE",
    "SLURM_STEP_TASKS_PER_NODE",
    "SLURM_NTASKS_PER_NODE",
    "MV2_COMM_WORLD_LOCAL_SIZE",
    "PMI_LOCAL_SIZE",
];

/// Flux says how many tasks and nodes a job has.
const FLUX: [&str; 2] = ["FLUX_JOB_SIZE", "FLUX_JOB_NNODES"];

type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables of this process.
fn own_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The number with which the first of these variables begins that begins with one.
fn first_number(variables: &[&str], environment: Environment<'_>) -> Option<usize> {
    variables.iter().find_map(|name| {
        let text = environment(name)?;
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text[..digits].parse().ok()
    })
}

/// How many of the job's processes are on this node.
fn local_size(environment: Environment<'_>) -> Option<usize> {
    first_number(&LOCAL_SIZE, environment).or_else(|| {
        let [tasks, nodes] = FLUX.map(|name| first_number(&[name], environment));
        Some(tasks?.div_ceil(nodes?.max(1)))
    })
}

/// The GPU of this process: its local rank, wrapped around the node's GPUs.
pub(super) fn default_gpu() -> u32 {
    gpu_of_rank(first_number(&LOCAL_RANK, &own_environment).unwrap_or(0), visible_gpus())
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

/// Threads where none are asked for: this process's share of the processors in its affinity mask, which the launcher
/// may have set to a core of its own, to a socket that it shares with others, or to the whole node.
fn default_threads() -> usize {
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").ok().and_then(|list| count(&list));
    share(affinity(), online, local_size(&own_environment))
}

/// Threads to work with: as many as are asked for, and no more than there are processors for. More would take turns,
/// and cost for it.
pub(crate) fn threads(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(default_threads).min(affinity()).max(1)
}

fn share(mask: usize, online: Option<usize>, ranks: Option<usize>) -> usize {
    // Masks that together are more than the node has processors are the same for several processes.
    let together = ranks.unwrap_or(1).saturating_mul(mask);
    let sharing = online.map_or(1, |online| together.div_ceil(online.max(1)));
    (mask / sharing.max(1)).max(1)
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
        assert_eq!(share(1, Some(64), Some(64)), 1);
        // Bound to sockets: four ranks, or three, on two sockets of 32; eight on four of 8.
        assert_eq!([4, 3].map(|ranks| share(32, Some(64), Some(ranks))), [16, 16]);
        assert_eq!(share(8, Some(32), Some(8)), 4);
        assert_eq!(share(64, Some(64), Some(4)), 16);
        assert_eq!(share(64, Some(64), None), 64);
        assert_eq!(share(2, Some(2), Some(8)), 1);
        assert_eq!(share(8, None, Some(4)), 8);
        assert!((1..=affinity()).contains(&default_threads()));
        assert_eq!((threads(Some(1)), threads(Some(1 << 20)), threads(None)), (1, affinity(), default_threads()));
    }

    #[test]
    fn launchers_are_known() {
        let find = |variables: &[(&str, &str)]| {
            let owned: Vec<(String, String)> =
                variables.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            let environment =
                move |name: &str| owned.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            (first_number(&LOCAL_RANK, &environment), local_size(&environment))
        };
        assert_eq!(
            find(&[("OMPI_COMM_WORLD_LOCAL_RANK", "3"), ("OMPI_COMM_WORLD_LOCAL_SIZE", "4")]),
            (Some(3), Some(4))
        );
        assert_eq!(find(&[("PALS_LOCAL_RANKID", "2"), ("PMI_LOCAL_SIZE", "12")]), (Some(2), Some(12)));
        assert_eq!(
            find(&[("FLUX_TASK_LOCAL_ID", "1"), ("FLUX_JOB_SIZE", "7"), ("FLUX_JOB_NNODES", "2")]),
            (Some(1), Some(4))
        );
        assert_eq!(find(&[("SLURM_LOCALID", "0"), ("SLURM_STEP_TASKS_PER_NODE", "4(x2),3")]), (Some(0), Some(4)));
        assert_eq!(find(&[("SLURM_LOCALID", "x")]), (None, None));
    }

    #[test]
    fn processor_lists_are_counted() {
        assert_eq!(["0-3,8,10-11\n", "0\n", "0-127"].map(count), [Some(7), Some(1), Some(128)]);
        assert_eq!(["", "x", "5-2"].map(count), [None, None, None]);
    }
}
