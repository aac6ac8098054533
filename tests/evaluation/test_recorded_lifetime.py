"""Animations show what the environment held."""

import io

import numpy as np
import pytest
from PIL import Image

from podmeta.config.compose import compose_job
from podmeta.environments.jax.rendering import AGENT, WALL, render_pixels
from podmeta.evaluation import recorded_lifetime
from podmeta.evaluation.recorded_lifetime import animate, is_drawn, make_recorder
from podmeta.inner_loop import build_inner_loop
from podmeta.keys import make_key

LENGTH = 5


@pytest.mark.long
@pytest.mark.parametrize(
    "words", [["environment=grid_world", "environment.permute_observations=true"], ["environment=object_grid_world"]]
)
def test_a_frame_shows_where_the_agent_is(words, monkeypatch):
    job = compose_job(["learner.hidden_size=2", *words, f"environment.lifetime_length={LENGTH}"])
    meta_params = build_inner_loop(job.learner, job.environment).init(make_key(0))
    lifetime = make_recorder(job.learner, job.environment)(meta_params, make_key(1))
    assert lifetime.rewards.shape == lifetime.episode_ends.shape == (LENGTH,)
    np.testing.assert_allclose(lifetime.actions.sum(1), 1.0, rtol=1e-6)
    drawn = []

    def noted(glyphs):
        drawn.append(glyphs)
        return render_pixels(glyphs)

    monkeypatch.setattr(recorded_lifetime, "render_pixels", noted)
    video = Image.open(io.BytesIO(animate(job.environment, lifetime, range(1, LENGTH))))
    states = lifetime.states
    while not hasattr(states, "agent"):
        states = states.inner
    assert len(drawn) == LENGTH - 1
    for glyphs, agent in zip(drawn, states.agent[1:], strict=True):
        inside = glyphs[1:-1, 1:-1] if (glyphs[0] == WALL).all() else glyphs
        assert np.flatnonzero(inside == AGENT).tolist() == [agent]
    video.seek(video.n_frames - 1)
    assert np.abs(np.asarray(video.convert("RGB"), float) - render_pixels(drawn[-1])).mean() < 2


def test_only_grid_worlds_are_drawn():
    assert not is_drawn(compose_job(["environment=bandit"]).environment)
    assert is_drawn(compose_job(["environment=grid_world"]).environment)
