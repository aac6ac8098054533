"""The lines that a job starts with: what it trains, where and by how much."""

import jax

from podmeta.config.schema import JobConfig
from podmeta.config.stages import environments_of, stages_of
from podmeta.config.titles import environments_title
from podmeta.distributed.devices import num_devices_of_all_processes
from podmeta.learners.base import MetaParams


def header_lines(job: JobConfig, meta_params: MetaParams) -> list[str]:
    """Three lines about a job. The line about its run directory follows them.

    Args:
      job: the job. JAX must be set up.
      meta_params: one θ of it, or its shapes.
    """
    stages = stages_of(job)
    environments = environments_of(stages[0].environment)
    lengths = sorted({environment.lifetime_length for environment in environments})
    of_stages = f" in {len(stages)} stages" if len(stages) > 1 else ""
    num_meta_params = sum(leaf.size for leaf in jax.tree.leaves(meta_params))
    return [
        f"experiment: {job.experiment_name}, {job.num_updates:,} updates{of_stages}, seed {job.seed}",
        f"environment: {environments_title(stages[0].environment)}, {_work(job)} of "
        f"{' or '.join(f'{length:,}' for length in lengths)} env steps",
        f"learner: {job.learner.name} with {num_meta_params:,} meta-parameters, trained by "
        f"{stages[0].outer.name} on {job.architecture.name}, {_devices()}",
    ]


def _work(job: JobConfig) -> str:
    """What an update is made of: a population, or lifetimes."""
    outer = stages_of(job)[0].outer
    per_member = getattr(outer, "lifetimes_per_member", None)  # only loops with members have the key
    if per_member is None:
        return f"{outer.size:,} lifetimes"
    members = "slots" if outer.size_key == "slots" else "members"
    return f"{outer.size:,} {members} with {_counted(per_member, 'lifetime')} each,"


def _devices() -> str:
    kind, number = jax.devices()[0].device_kind, num_devices_of_all_processes()
    return f"{_counted(number, 'device')} ({kind})"


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
