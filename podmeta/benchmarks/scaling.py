"""`podmeta bench scaling`: what it costs to spread an update over more devices and more processes of this machine.

Weak scaling: every device has the same work. As all share the machine's cores, the same total work takes one device as
long, and what the devices need beyond that is what spreading costs.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from podmeta.benchmarks.measure import report
from podmeta.distributed.children import Lifeline
from podmeta.distributed.one_machine import free_port, share_of_cores, share_the_machine
from podmeta.errors import PodmetaError

SIZES = {"bandit": ("outer.population_size", 256), "bandit_actor_critic": ("outer.num_lifetimes", 64)}
"""By experiment: the key that says how much work an update is, and its value for one device."""

ROUNDS = 2


class Layout(NamedTuple):
    """Devices of a job on this machine, which are divided over processes."""

    num_processes: int
    devices_per_process: int

    @property
    def num_devices(self) -> int:
        """Of all processes."""
        return self.num_processes * self.devices_per_process


ONE_DEVICE = Layout(1, 1)
LAYOUTS = [ONE_DEVICE, Layout(1, 2), Layout(1, 4), Layout(1, 8), Layout(2, 1), Layout(2, 2), Layout(4, 1)]


class Measurement(NamedTuple):
    """What a worker reports.

    Attributes:
      seconds: of an update.
      collective_seconds: of the update's exchanges between devices, alone.
      collective_bytes: of the results of these exchanges, on one device.
    """

    seconds: float
    collective_seconds: float
    collective_bytes: int


def bench_scaling() -> None:
    """Measures both outer loops on 1, 2, 4 and 8 devices of one process, and on 2 and 4 processes.

    Raises:
      PodmetaError: a process has failed.
    """
    with tempfile.TemporaryDirectory() as compiled:
        for experiment in SIZES:
            measured: dict[tuple[Layout, int], Measurement] = {}
            cases = {(each, each.num_devices) for each in LAYOUTS} | {
                (ONE_DEVICE, each.num_devices) for each in LAYOUTS
            }
            # Layouts take turns, so that other work on the machine slows none of them alone.
            for _ in range(ROUNDS):
                for case in sorted(cases):
                    again = _measure(experiment, *case, Path(compiled))
                    measured[case] = min(measured.get(case, again), again)
            for layout in LAYOUTS:
                _report(experiment, layout, measured)


def _report(experiment: str, layout: Layout, measured: dict[tuple[Layout, int], Measurement]) -> None:
    key, value = SIZES[experiment]
    setting: dict[str, Any] = {"experiment": experiment, **layout._asdict(), key: layout.num_devices * value}
    here, one_device = measured[layout, layout.num_devices], measured[ONE_DEVICE, layout.num_devices]
    report("scaling_update", setting, here.seconds * 1e3, "ms")
    report("scaling_update_over_one_device", setting, here.seconds / one_device.seconds, "1")
    if layout.num_processes > 1:
        one_process = measured[Layout(1, layout.num_devices), layout.num_devices]
        report("scaling_update_over_one_process", setting, here.seconds / one_process.seconds, "1")
    report("scaling_collective_bytes_per_device", setting, here.collective_bytes, "B")
    report("scaling_collective_share", setting, here.collective_seconds / here.seconds, "1")


def _measure(experiment: str, layout: Layout, times_the_work: int, compiled: Path) -> Measurement:
    """Runs the processes of a layout, which keep their compiled programs."""
    key, value = SIZES[experiment]
    overrides = [f"experiment={experiment}", f"{key}={times_the_work * value}"]
    overrides += [f"devices.cpu={layout.devices_per_process}"]
    if layout.num_processes > 1:
        overrides += [f"distributed.coordinator_address=127.0.0.1:{free_port()}"]
        overrides += [f"distributed.num_processes={layout.num_processes}"]
    worker = [sys.executable, "-m", "podmeta.benchmarks.scaling_worker", *overrides]
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(compiled)} | share_of_cores(layout.num_processes)
    with Lifeline() as lifeline:
        processes = [
            lifeline.start(
                [*worker, f"distributed.process_id={index}"] if layout.num_processes > 1 else worker,
                environment,
                stdout=subprocess.PIPE,
                encoding="utf-8",
                start_new_session=True,  # a terminal's Ctrl-C would have each show a traceback
            )
            for index in range(layout.num_processes)
        ]
        share_the_machine([process.pid for process in processes])  # as launch/local.py does
        try:
            first, *_ = [process.communicate()[0] for process in processes]
        finally:
            for process in processes:
                process.kill()
    if any(process.returncode for process in processes):
        raise PodmetaError(f"a process of podmeta bench scaling has failed: {' '.join(worker)}")
    return Measurement(**json.loads(first.splitlines()[-1]))
