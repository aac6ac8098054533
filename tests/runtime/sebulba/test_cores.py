"""Threads that are kept to a core, as Linux sees them."""

import os
import threading

import pytest

from podmeta.runtime.sebulba.cores import cores_of_actors, kept_to

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
