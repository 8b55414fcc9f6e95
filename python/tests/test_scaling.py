"""Threads of Python work at once: eight tasks in eight threads take no longer than in a process for each core."""

import multiprocessing
import os
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from conftest import waves

import fieldpress

TASKS = 8
CORES = len(os.sched_getaffinity(0))
FIELD = waves((16, 160, 160))


def task(number: int) -> int:
    """Compression and decompression, on one thread of the library's own."""
    stream = fieldpress.compress(FIELD, abs=0.02 + 1e-6 * number, effort=0, threads=1)
    fieldpress.decompress(stream, threads=1)
    return number


def seconds(pool: Executor) -> float:
    """The shortest of three rounds, after one in which workers and codecs start."""
    rounds = []
    with pool:
        for _ in range(4):
            begin = time.perf_counter()
            assert list(pool.map(task, range(TASKS))) == list(range(TASKS))
            rounds.append(time.perf_counter() - begin)
    return min(rounds[1:])


@pytest.mark.skipif(CORES < 2, reason="one core: nothing to scale to")
def test_threads_scale_as_processes_do() -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = seconds(ProcessPoolExecutor(min(TASKS, CORES), mp_context=spawn))
    threads = seconds(ThreadPoolExecutor(TASKS))
    assert threads < 1.25 * processes, f"{TASKS} threads take {threads:.3f} s, processes {processes:.3f} s"


def test_threads_make_the_same_bytes() -> None:
    alone = fieldpress.compress(FIELD, abs=0.02, effort=0, threads=1)
    with ThreadPoolExecutor(TASKS) as pool:
        streams = list(pool.map(lambda _: fieldpress.compress(FIELD, abs=0.02, effort=0, threads=1), range(TASKS)))
    assert all(stream == alone for stream in streams)
    np.testing.assert_array_equal(fieldpress.decompress(alone), fieldpress.decompress(streams[-1]))
