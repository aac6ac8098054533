"""How devices are shared out, and what does not divide."""

import pytest

from podmeta.architectures.sebulba.layout import check_layout, make_layout
from podmeta.config.schema import ActorCriticConfig, EvolutionConfig, SebulbaConfig
from podmeta.errors import InputError


def test_one_device_learns_and_acts():
    layout = make_layout(SebulbaConfig(actor_threads=3), num_devices=1)
    assert layout.learner_devices() == layout.actor_devices()
    assert layout.num_actors == 3 == len(layout.device_of_actors())


def test_actor_devices_are_apart_from_learner_devices():
    layout = make_layout(SebulbaConfig(actor_devices=1, actor_threads=2), num_devices=4)
    assert layout.num_learner_devices == 3 and layout.num_actors == 2
    assert not set(layout.actor_devices()) & set(layout.learner_devices())
    assert layout.device_of_actors() == layout.actor_devices() * 2


@pytest.mark.parametrize(("actors", "learners"), [(4, 0), (2, 3), (0, 5)])
def test_more_devices_than_there_are_is_told(actors, learners):
    config = SebulbaConfig(actor_devices=actors, learner_devices=learners)
    with pytest.raises(
        InputError, match=r"architecture\.actor_devices.*need 5 devices, but there are 4.*devices\.cpu=5"
    ):
        make_layout(config, num_devices=4)


@pytest.mark.parametrize(
    ("outer", "message"),
    [
        (ActorCriticConfig(num_lifetimes=6), r"outer\.num_lifetimes=6 .*multiple of 4"),
        (
            ActorCriticConfig(num_lifetimes=8, num_minibatches=3),
            r"num_lifetimes=8 .*3 minibatches on each: take 12",
        ),
        (EvolutionConfig(population_size=12), r"outer\.population_size=12 .*multiple of 8"),
    ],
)
def test_what_does_not_divide_is_told(outer, message):
    layout = make_layout(SebulbaConfig(actor_devices=1, learner_devices=2, actor_threads=2), num_devices=3)
    with pytest.raises(InputError, match=message):
        check_layout(layout, outer)
    check_layout(layout, ActorCriticConfig(num_lifetimes=8, num_minibatches=2))
    check_layout(layout, EvolutionConfig(population_size=16))
