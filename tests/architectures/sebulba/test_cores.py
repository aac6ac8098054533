"""Threads that are kept to a core, as Linux sees them."""

import os
import threading

import pytest

from podmeta.architectures.sebulba.cores import cores_of_actors, cores_of_others, keep_to, move_threads

linux_only = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads are kept on Linux only")


@linux_only
def test_what_a_kept_thread_starts_is_kept_with_it_and_no_other_is():
    every = os.sched_getaffinity(0)
    one, seen = {min(every)}, []

    def kept():
        keep_to(one)
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
    assert cores_of_actors(3, 0) == [every] * 3
    assert cores_of_actors(3, 1) == [{min(every)}] * 3
    many = cores_of_actors(2 * len(every), 10**6)
    assert set.union(*many) == every and all(len(cores) == 1 for cores in many)


@linux_only
def test_others_have_the_cores_that_actors_leave_or_all():
    every = os.sched_getaffinity(0)
    assert cores_of_others(cores_of_actors(3, 0)) == every
    assert cores_of_others(cores_of_actors(2 * len(every), len(every))) == every
    assert cores_of_others(cores_of_actors(3, 1)) == (every - {min(every)} or every)


@linux_only
def test_threads_that_are_there_are_moved_but_for_those_kept_elsewhere():
    every = os.sched_getaffinity(0)
    if len(every) == 1:
        pytest.skip("there is but one core")
    kept, rest = {min(every)}, every - {min(every)}
    leave, seen = threading.Event(), {}

    ready = threading.Barrier(3)

    def look(name, cores):
        keep_to(cores)
        ready.wait()
        leave.wait(5)
        seen[name] = os.sched_getaffinity(0)

    threads = [threading.Thread(target=look, args=arguments) for arguments in (("free", every), ("kept", kept))]
    for thread in threads:
        thread.start()
    ready.wait()
    try:
        move_threads(every, rest)
        leave.set()
        for thread in threads:
            thread.join()
    finally:
        move_threads(rest, every)
    assert seen == {"free": rest, "kept": kept}
    assert os.sched_getaffinity(0) == every
