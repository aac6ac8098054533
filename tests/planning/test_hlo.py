"""What is read off compiled programs: real ones of CPUs, and what only GPUs and TPUs print."""

import jax
import jax.numpy as jnp
import pytest

from podmeta.distributed.devices import compile_for
from podmeta.planning.hlo import Collective, collectives, memory_traffic, parse_module

AXIS = "devices"


def compiled_on_four(function, *shapes):
    arguments = [jax.ShapeDtypeStruct((4, *shape), jnp.float32) for shape in shapes]
    return compile_for(jax.local_devices()[:4], lambda told: function(*told), AXIS, arguments)


def module_of(function, *arguments):
    return parse_module(jax.jit(function).lower(*arguments).compile().as_text())


def test_collectives_count_as_often_as_they_run():
    def program(x, y):
        x = jax.lax.scan(lambda x, _: (jax.lax.psum(jnp.sin(x), AXIS), None), x, length=5)[0]
        return x, jax.lax.all_gather(y, AXIS)

    found = collectives(parse_module(compiled_on_four(program, (7,), (3, 2)).as_text()))
    assert sorted(found) == [
        Collective("all-gather", 4, 1, 4 * 6 * 4, 3 * 6 * 4),
        Collective("all-reduce", 4, 5, 5 * 7 * 4, 5 * 2 * 3 / 4 * 7 * 4),
    ]


def test_elementwise_programs_read_and_write_once():
    x = jnp.ones(10_000)
    assert memory_traffic(module_of(lambda x: jnp.sin(x) + 1, x)) == 2 * x.nbytes


@pytest.mark.parametrize("length", [8, 64])
def test_a_loop_moves_what_it_slices_and_not_the_whole_each_time(length):
    def program(xs):
        return jax.lax.scan(lambda total, x: (total + x, jnp.cos(total)), jnp.zeros(500), xs)

    xs = jnp.ones((length, 500))
    moved = memory_traffic(module_of(program, xs))
    # Per step x is read, a row of cosines written, and the total read and written; by two fusions at most.
    assert 4 * xs.nbytes <= moved <= 9 * xs.nbytes


def test_without_loops_traffic_is_about_what_xla_counts():
    def program(x, w):
        return jnp.sum(jnp.tanh(x @ w), axis=0)

    compiled = jax.jit(program).lower(jnp.ones((64, 32)), jnp.ones((32, 16))).compile()
    by_xla = compiled.cost_analysis()["bytes accessed"]
    assert memory_traffic(parse_module(compiled.as_text())) == pytest.approx(by_xla, rel=0.3)


TPU_TEXT = """\
HloModule jit_run, is_scheduled=true

%body.1 (state.1: (s32[], f32[256])) -> (s32[], f32[256]) {
  %state.1 = (s32[]{:T(128)}, f32[256]{0:T(256)S(1)}) parameter(0)
  %count.1 = s32[]{:T(128)} get-tuple-element(%state.1), index=0
  %values.1 = f32[256]{0:T(256)S(1)} get-tuple-element(%state.1), index=1
  %one.1 = s32[]{:T(128)} constant(1)
  %next.1 = s32[]{:T(128)} add(%count.1, %one.1)
  %sum.1 = f32[256]{0:T(256)S(1)} all-reduce(%values.1), channel_id=1, replica_groups=[2,8]<=[16], to_apply=%add.1
  ROOT %made.1 = (s32[]{:T(128)}, f32[256]{0:T(256)S(1)}) tuple(%next.1, %sum.1)
}

%condition.1 (state.2: (s32[], f32[256])) -> pred[] {
  %limit.1 = s32[]{:T(128)} constant(30)
  %state.2 = (s32[]{:T(128)}, f32[256]{0:T(256)S(1)}) parameter(0)
  %count.2 = s32[]{:T(128)} get-tuple-element(%state.2), index=0
  ROOT %less.1 = pred[]{:T(512)} compare(%count.2, %limit.1), direction=LT
}

ENTRY %main.1 (given.1: f32[256]) -> f32[256] {
  %given.1 = f32[256]{0:T(256)} parameter(0)
  %start.1 = (f32[256]{0:T(256)S(1)}, f32[256]{0:T(256)}, u32[]{:S(2)}) copy-start(%given.1)
  %inside.1 = f32[256]{0:T(256)S(1)} copy-done(%start.1)
  %zero.1 = s32[]{:T(128)} constant(0)
  %state.3 = (s32[]{:T(128)}, f32[256]{0:T(256)S(1)}) tuple(%zero.1, %inside.1)
  %loop.1 = (s32[]{:T(128)}, f32[256]{0:T(256)S(1)}) while(%state.3), condition=%condition.1, body=%body.1
  %looped.1 = f32[256]{0:T(256)S(1)} get-tuple-element(%loop.1), index=1
  %part.1 = ((f32[256]{0:T(256)S(1)}), f32[64]{0:T(128)}, s32[]{:S(2)}) slice-start(%looped.1), slice={[0:64]}
  %outside.1 = f32[64]{0:T(128)} slice-done(%part.1)
  ROOT %out.1 = f32[64]{0:T(128)S(1)} copy(%outside.1)
}
"""


def test_a_tpu_s_loops_are_as_long_as_their_condition_says_and_its_vector_memory_is_free():
    module = parse_module(TPU_TEXT)
    assert collectives(module) == [Collective("all-reduce", 8, 30, 30 * 1024, 30 * 2 * 7 / 8 * 1024)]
    counters = 30 * 3 * 4  # one addition of a step: two numbers read, one written
    assert memory_traffic(module) - counters == 1024 + 256 + 256  # in, a part out, and in again


def test_collectives_that_gpus_start_and_await_count_once():
    text = """\
ENTRY %main (given: f32[16,2]) -> f32[128,2] {
  %given = f32[16,2]{1,0} parameter(0)
  %gather = (f32[16,2]{1,0}, f32[128,2]{1,0}) all-gather-start(%given), replica_groups={{0,1,2,3,4,5,6,7}}
  ROOT %gathered = f32[128,2]{1,0} all-gather-done(%gather)
}
"""
    assert collectives(parse_module(text)) == [Collective("all-gather", 8, 1, 1024, 7 / 8 * 1024)]
