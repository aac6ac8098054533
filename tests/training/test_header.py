"""The lines that a job starts with."""

import math
import re

import jax
import pytest

from podmeta.config.compose import compose_job
from podmeta.training.build import meta_params_shapes, state_shapes
from podmeta.training.header import header_lines

SMALL = ("environment.lifetime_length=20", "learner.hidden_size=4")


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (("experiment=bandit", "outer.population_size=6"), ("bandit", "6 members with", "evolution")),
        (
            ("environment=gymnax/Acrobot-v1", "outer=actor_critic", "outer.num_lifetimes=3", "outer.unroll_length=20"),
            ("Acrobot-v1", "3 lifetimes of 20 env steps", "actor_critic"),
        ),
    ],
)
def test_the_header_names_the_environment_by_its_id_and_counts_the_meta_parameters(overrides, parts):
    job = compose_job([*overrides, *SMALL, "num_updates=1234", "seed=7"])
    lines = header_lines(job, meta_params_shapes(job))
    assert len(lines) == 3
    said = "\n".join(lines)
    assert [part for part in (*parts, "1,234 updates", "seed 7") if part not in said] == []
    number = sum(math.prod(leaf.shape[1:]) for leaf in jax.tree.leaves(state_shapes(job).outer.meta_params))
    assert f"with {number:,} meta-parameters" in said
    assert re.search(rf"\b{jax.local_device_count()} devices? \(", said)
