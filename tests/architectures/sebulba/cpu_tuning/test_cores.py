"""Threads that are kept to a core, as Linux sees them."""

import os
import threading

import pytest

from podmeta.architectures.sebulba.cpu_tuning.cores import SharedCores

linux_only = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads are kept on Linux only")


@linux_only
def test_what_a_kept_thread_starts_is_kept_with_it_and_no_other_is():
    every = os.sched_getaffinity(0)
    one, seen = {min(every)}, []
    cores = SharedCores(num_actors=1, num_cores=1)

    def kept():
        cores.keep_actor(0)
        started = threading.Thread(target=lambda: seen.append(os.sched_getaffinity(0)))
        started.start()
        started.join()
        seen.append(os.sched_getaffinity(0))

    thread = threading.Thread(target=kept)
    thread.start()
    thread.join()
    assert seen == [one, one]
    assert os.sched_getaffinity(0) == every


@linux_only
def test_actors_share_as_many_cores_as_they_are_given_and_no_more_than_there_are():
    every = os.sched_getaffinity(0)
    assert SharedCores(3, 0).by_actor == [every] * 3
    assert SharedCores(3, 1).by_actor == [{min(every)}] * 3
    many = SharedCores(2 * len(every), 10**6).by_actor
    assert set.union(*many) == every and all(len(cores) == 1 for cores in many)


@linux_only
def test_others_have_the_cores_that_actors_leave_or_all():
    every = os.sched_getaffinity(0)
    assert SharedCores(3, 0).of_others == every
    assert SharedCores(2 * len(every), len(every)).of_others == every
    assert SharedCores(3, 1).of_others == (every - {min(every)} or every)


@linux_only
def test_threads_that_are_there_are_moved_but_for_actors_until_they_are_released():
    every = os.sched_getaffinity(0)
    if len(every) == 1:
        pytest.skip("there is but one core")
    cores = SharedCores(num_actors=1, num_cores=1)
    kept, rest = {min(every)}, every - {min(every)}
    leave, seen = threading.Event(), {}
    ready = threading.Barrier(3)

    def look(name):
        if name == "actor":
            cores.keep_actor(0)
        ready.wait()
        leave.wait(5)
        seen[name] = os.sched_getaffinity(0)

    threads = [threading.Thread(target=look, args=(name,)) for name in ("free", "actor")]
    for thread in threads:
        thread.start()
    ready.wait()
    try:
        cores.keep_others()
        leave.set()
        for thread in threads:
            thread.join()
    finally:
        cores.release_others()
    assert seen == {"free": rest, "actor": kept}
    assert os.sched_getaffinity(0) == every
