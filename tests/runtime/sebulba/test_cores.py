"""Threads that are kept to a core, as Linux sees them."""

import os
import threading

import pytest

from podmeta.runtime.sebulba.cores import cores_of_actors, cores_of_others, kept_to, move_threads

linux_only = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads are kept on Linux only")


@linux_only
def test_what_starts_while_a_thread_is_kept_stays_and_the_thread_does_not():
    every = os.sched_getaffinity(0)
    one = {min(every)}
    leave, seen = threading.Event(), []
    with kept_to(one):
        started = threading.Thread(target=lambda: (leave.wait(5), seen.append(os.sched_getaffinity(0))))
        started.start()
        assert os.sched_getaffinity(0) == one
    assert os.sched_getaffinity(0) == every
    leave.set()
    started.join()
    assert seen == [one]


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

    def look(name):
        leave.wait(5)
        seen[name] = os.sched_getaffinity(0)

    threads = [threading.Thread(target=look, args=("free",))]
    threads[0].start()
    with kept_to(kept):
        threads.append(threading.Thread(target=look, args=("kept",)))
        threads[1].start()
    try:
        move_threads(every, rest)
        leave.set()
        for thread in threads:
            thread.join()
    finally:
        move_threads(rest, every)
    assert seen == {"free": rest, "kept": kept}
    assert os.sched_getaffinity(0) == every
