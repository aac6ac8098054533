"""A third outer loop, added by one registration, trains on both architectures."""

import dataclasses
import json
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from podmeta.config.compose import compose_job
from podmeta.config.presets import list_options
from podmeta.config.schema import GROUPS, OuterLoopConfig
from podmeta.config.schema.option import option
from podmeta.errors import InputError
from podmeta.keys import make_key
from podmeta.outer import registry
from podmeta.outer.base import InstanceSettings, OuterLoop, fresh_meta_params
from podmeta.storage.checkpoints import Checkpoints
from podmeta.training.loop import train


@dataclasses.dataclass
class DuelsConfig(OuterLoopConfig):
    """Many duels between θ and a change of it; θ moves towards the mean of the winners."""

    size_key: ClassVar[str] = "num_duels"
    slot_name: ClassVar[str] = "duels"

    name: str = option("duels", "duels")
    num_duels: int = option(8, "duels of an update", minimum=1)
    learning_rate: float = option(1.0, "the part of the way that θ moves", above=0)
    noise_std: float = option(0.3, "standard deviation of a change", above=0)


class DuelsState(NamedTuple):
    meta_params: Any
    update: jax.Array
    settings: InstanceSettings


class Duels(OuterLoop):
    num_members = 2
    uses_actor_outputs = False
    requires_on_policy = True

    @property
    def unroll_lengths(self):
        return tuple(entry.inner_loop.lifetime_length for entry in self.entries)

    def init(self, settings, meta_params=None):
        meta_params = fresh_meta_params(self.entries, settings) if meta_params is None else meta_params
        return DuelsState(meta_params, jnp.array(self.first_update, jnp.int32), settings)

    def actor_view(self, state):
        return state

    def key(self, state, purpose, update, slot):
        return jax.random.fold_in(
            jax.random.fold_in(jax.random.fold_in(make_key(state.settings.seed), purpose), update), slot
        )

    def draw(self, state, slot):
        return jax.random.normal(self.key(state, 1, state.update, slot), ravel_pytree(state.meta_params)[0].shape)

    def actor_params(self, state, draw, member):
        flat, unravel = ravel_pytree(state.meta_params)
        return unravel(flat + jnp.where(member == 0, 0.0, state.settings.noise_std) * draw)

    def lifetime_keys(self, state, update, slot):
        keys = jax.random.split(self.key(state, 2, update, slot), len(self.entries))
        return tuple(jax.random.split(key, entry.lifetimes) for key, entry in zip(keys, self.entries, strict=True))

    def summarise(self, trajectories):
        return sum(trajectory.experience.reward.mean(axis=(1, 2)) for trajectory in trajectories)

    def update(self, state, draws, summaries, axis_name):
        winners = jax.vmap(self.actor_params, in_axes=(None, 0, 0))(state, draws, jnp.argmax(summaries, axis=1))
        mean = jax.tree.map(lambda leaf: leaf.mean(axis=0), winners)
        fitness = jnp.mean(summaries)
        if axis_name is not None:
            mean, fitness = jax.lax.pmean((mean, fitness), axis_name)
        rate = state.settings.learning_rate
        meta_params = jax.tree.map(lambda old, new: old + rate * (new - old), state.meta_params, mean)
        norm = jnp.linalg.norm(ravel_pytree(meta_params)[0])
        return DuelsState(meta_params, state.update + 1, state.settings), {
            "fitness_mean": fitness,
            "meta_params_norm": norm,
        }


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(GROUPS["outer"], "duels", None)
    monkeypatch.setattr(registry, "_MAKERS", dict(registry._MAKERS))
    registry.register_outer_loop("duels", DuelsConfig, Duels)


ENVIRONMENTS = {
    "anakin": ["environment=bandit", "environment.num_arms=2", "environment.lifetime_length=10"],
    "sebulba": [
        "environment=gymnasium",
        "environment.id=CartPole-v1",
        "environment.lifetime_length=40",
        "architecture.learner_devices=2",
        "architecture.actor_threads=1",
    ],
}


def job_on(architecture, run_dir, *more):
    return compose_job(
        [
            f"architecture={architecture}",
            *ENVIRONMENTS[architecture],
            "outer=duels",
            "outer.num_duels=4",
            "learner=recurrent",
            "learner.hidden_size=4",
            "num_updates=4",
            "architecture.updates_per_call=2",
            "evaluation.enabled=false",
            "logging.progress=false",
            "logging.tensorboard=false",
            "logging.every_updates=1",
            f"run_dir={run_dir}",
            *more,
        ]
    )


@pytest.mark.long
@pytest.mark.parametrize("architecture", ["anakin", "sebulba"])
def test_it_trains_and_goes_on(tmp_path, architecture):
    train(job_on(architecture, tmp_path / "run", "num_updates=2"), print)
    train(job_on(architecture, tmp_path / "run"), print)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["update"] for row in rows] == [1, 2, 3, 4]
    assert len({row["meta_params_norm"] for row in rows}) > 1
    assert np.isfinite([row["fitness_mean"] for row in rows]).all()
    assert rows[-1]["env_steps"] == 4 * 4 * 2 * {"anakin": 10, "sebulba": 40}[architecture]
    assert Checkpoints(tmp_path / "run" / "checkpoints").steps()[-1] == 4


def test_it_is_a_choice_like_the_others():
    assert (
        list_options("outer")["duels"]
        == "Many duels between θ and a change of it; θ moves towards the mean of the winners."
    )
    with pytest.raises(InputError, match=r"outer\.fitness"):
        compose_job(["experiment=bandit", "outer=duels", "outer.fitness=reward"])  # a key that it does not have


def test_what_does_not_divide_is_refused_in_its_own_words(tmp_path):
    with pytest.raises(InputError, match=r"outer\.num_duels=3 makes 3 duels, .* 4 devices: take 4"):
        train(job_on("anakin", tmp_path / "run", "outer.num_duels=3"), print)
