"""Plans: of devices that are here, and of such as are not."""

import importlib.util
import json
import math

import jax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podmeta.cli import main
from podmeta.config.compose import compose_job
from podmeta.distributed import devices
from podmeta.errors import InputError
from podmeta.planning.flops import FlopCount
from podmeta.planning.hlo import Collective
from podmeta.planning.plan import (
    H100_TARGET,
    Costs,
    Fit,
    Memory,
    compile_costs,
    find_largest,
    make_plan,
    make_roofline,
    memory_needed,
)
from podmeta.planning.topologies import PRODUCTS, Peaks, Product, Topology
from podmeta.training.build import state_shapes
from tests.end_to_end.job import TINY
from tests.planning.by_hand import symmetric_learner_matmul_flops

SMALL_CARTPOLE = (
    "experiment=cartpole",
    "outer.num_lifetimes=8",
    "outer.unroll_length=5",
    "environment.lifetime_length=10",
    "learner.hidden_size=4",
)


@pytest.fixture(scope="module")
def tiny_costs():
    return compile_costs(compose_job(list(TINY)), jax.local_devices(), "cpu")


@pytest.mark.long
def test_evolution_exchanges_fitness_and_a_gradient(tiny_costs):
    num_meta_params = sum(
        leaf.size for leaf in jax.tree.leaves(state_shapes(compose_job(list(TINY))).outer.meta_params)
    )
    exchanged = {each.name: (each.times, each.num_bytes) for each in tiny_costs.collectives}
    piece = math.ceil(num_meta_params / 4)  # devices add up one each, and tell it
    assert exchanged == {"all-gather": (1, 4 * 8), "all-to-all": (2, 2 * 4 * 4 * piece)}
    assert tiny_costs.env_steps == 8 * 10
    assert min(tiny_costs.memory.arguments, tiny_costs.memory.temporaries, tiny_costs.hbm_traffic_bytes) > 0


def test_flops_are_those_of_the_lifetimes_by_hand(tiny_costs):
    members_on_a_device, env_steps, arms = 8 // 4, 10, 5
    by_hand = members_on_a_device * env_steps * symmetric_learner_matmul_flops(1, arms, hidden_size=4, message_size=8)
    assert tiny_costs.flops.matmul == pytest.approx(by_hand, rel=0.1)


def test_a_larger_population_needs_more_memory(tiny_costs):
    larger = memory_needed(compose_job([*TINY, "outer.population_size=64"]), jax.local_devices(), "cpu")
    assert tiny_costs.memory.total < larger < 8 * tiny_costs.memory.total


@given(st.integers(0, 2000), st.integers(1, 3000), st.integers(1, 5), st.integers(1, 20_000))
def test_the_largest_size_is_found_in_few_steps(fixed, per_row, rows, limit):
    def fit(size):
        needed = fixed + per_row * size // 2
        return Fit(size, needed, needed <= limit)

    answers = find_largest(fit, fit(2 * rows), 2, limit)
    sizes = {answer.size: answer.fits for answer in answers}
    fitting = [size for size, fits in sizes.items() if fits]
    assert len(answers) == len(sizes) <= 17
    if fitting:
        largest = max(fitting)
        assert sizes.get(2 * largest, sizes.get(2 * rows)) is False
    else:
        assert not fit(2).fits


def test_the_largest_size_is_found_where_xla_names_no_bytes():
    answers = find_largest(lambda size: Fit(size, size if size <= 8 else None, size <= 8), Fit(64, None, False), 2, 8)
    assert [answer.size for answer in answers] == [64, 32, 16, 8]


def test_the_bound_is_set_by_what_is_busiest():
    costs = Costs(
        env_steps=1000,
        memory=Memory(0, 0, 0, 0),
        flops=FlopCount(matmul=200, other=30),
        hbm_traffic_bytes=50.0,
        collectives=(Collective("all-reduce", 4, 1, 10, 15.0),),
    )

    def topology(peaks):
        return Topology(Product("abacus", "cpu", 2, 1, peaks, ((4,),)), (4,))

    roofline = make_roofline(costs, topology(Peaks(100.0, 10.0, 10.0, 10.0, "here")), "float32")
    assert roofline.seconds == {"matmul": 2.0, "other_flops": 3.0, "hbm": 5.0, "interconnect": 1.5}
    assert (roofline.limited_by, roofline.env_steps_per_second) == ("hbm", 200.0)
    assert roofline.env_steps_per_second_per_chip == 50.0
    narrow = costs._replace(flops=FlopCount(matmul=200, matmul_bfloat16=400, other=30))
    roofline = make_roofline(narrow, topology(Peaks(100.0, 10.0, 10.0, 10.0, "here")), "float32")
    assert roofline.seconds["matmul"] == 2.0 + 4.0
    without = make_roofline(costs, topology(Peaks(100.0, None, 1e9, 1e9, "here")), "float32")
    assert "other_flops" not in without.seconds and without.limited_by == "matmul"


@pytest.mark.parametrize(("topology", "cure"), [("v5e:2x2", "podmeta[tpu]"), ("h100:8", "podmeta[plan-cuda]")])
def test_what_compiles_for_devices_that_are_not_here_is_named_where_it_is_missing(topology, cure, monkeypatch, capsys):
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name: None)
    assert main(["plan", *TINY, f"topology={topology}"]) == 2
    assert f"pip install '{cure}'" in capsys.readouterr().err


def test_a_stage_that_is_not_there_is_refused():
    topology = Topology(PRODUCTS["v5e"], (2, 2))
    with pytest.raises(InputError, match="stage=3: the job has the stages 0 to 0"):
        make_plan(compose_job(list(TINY)), topology, 3, print)


def planned(capsys, *arguments):
    assert main(["plan", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def check(plan, job, num_devices):
    """What must hold of every plan."""
    assert plan["devices"] == num_devices
    assert plan["planned_size"] % num_devices == 0
    assert plan["fits"] and 0 < plan["hbm_bytes_per_device"]["total"] < plan["hbm_limit_bytes_per_device"]
    here = compile_costs(job, jax.local_devices(), "cpu")
    assert plan["flops_per_update_per_device"]["matmul"] == pytest.approx(here.flops.matmul, rel=0.1)
    assert bool(plan["collectives_per_update"]) == (num_devices > 1)
    roofline = plan["roofline"]
    assert roofline["env_steps_per_second"] == pytest.approx(plan["chips"] * roofline["env_steps_per_second_per_chip"])
    answers = {answer["size"]: answer["fits"] for answer in plan["tried"]}
    assert answers[plan["largest_size_per_device"]] and not answers[2 * plan["largest_size_per_device"]]


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed: podmeta[tpu]")
@pytest.mark.parametrize(
    ("topology", "num_devices", "job"),
    [("v5e:16x16", 256, TINY), ("v5p:8x8x8", 512, TINY), ("v4:2x2x1", 8, SMALL_CARTPOLE), ("v6e:1x1", 1, TINY)],
)
def test_tpus_that_are_not_here(topology, num_devices, job, capsys):
    plan = planned(capsys, *job, f"topology={topology}")
    per_device = plan["planned_size"] // num_devices
    key = plan["size_key"]
    assert plan["divides"] == (num_devices <= 8)
    check(plan, compose_job([*job, f"{key}={per_device * 4}"]), num_devices)


@pytest.mark.skipif(
    importlib.util.find_spec("jax_cuda13_plugin") is None,
    reason="JAX's CUDA plugin is not installed: podmeta[plan-cuda]",
)
def test_gpus_that_are_not_here(tiny_costs):
    job = compose_job([*TINY, "outer.population_size=16"])  # as many on each of 8 as of 8 on each of 4
    costs = compile_costs(job, devices.absent_gpus(8, H100_TARGET), "cuda")
    assert costs.flops.matmul == pytest.approx(tiny_costs.flops.matmul, rel=0.02)
    assert {each.name: each.num_devices for each in costs.collectives} == {"all-gather": 8, "all-reduce": 8}
    assert costs.hbm_traffic_bytes > 0 < costs.memory.total < PRODUCTS["h100"].hbm_bytes
