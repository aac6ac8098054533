"""`podmeta plan`: a job on devices that are not here."""

import json

from podmeta.cli.arguments import Call, Commands, add_config_dir, at_most_one
from podmeta.cli.console import PlainConsole
from podmeta.errors import InputError

_DESCRIPTION = """\
Compiles the job's update for absent devices. Prints the memory it needs, what it computes and exchanges, a bound on
its speed, and the largest population (or number of lifetimes) that fits. Products: v4, v5e, v5p and v6e, such as
v5e:16x16, which need libtpu (pip install 'podmeta[tpu]'); and h100:1, 2, 4 or 8, which need JAX's CUDA plugin
(pip install 'podmeta[plan-cuda]'). For a job with stages, it plans the last one, or stage=N."""


def add_parser(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = commands.add_parser(
        "plan",
        usage="podmeta plan experiment=NAME topology=PRODUCT:SIZE [KEY=VALUE ...] [stage=N] [--json]",
        help="what a job needs and reaches on absent devices, such as topology=v5e:16x16",
        description=_DESCRIPTION,
        keys=("topology", "stage"),
        takes_config=True,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    add_config_dir(parser)
    parser.set_defaults(run=plan)


def plan(call: Call) -> None:
    """Prints the plan.

    Raises:
      InputError: a word is wrong, or what compiles for the topology is not installed.
    """
    given, overrides = call.split_words()
    named, stage = at_most_one("topology", given["topology"]), at_most_one("stage", given["stage"])
    if named is None:
        raise InputError("name one topology: podmeta plan experiment=bandit topology=v5e:16x16")
    if stage is not None and not stage.isdecimal():
        raise InputError(f"stage={stage} is not a number: stage= takes the number of one stage, from 0")
    from podmeta.config.compose import compose_job
    from podmeta.planning.topologies import parse_topology

    topology = parse_topology(named)
    job = compose_job(overrides)
    from podmeta.distributed.devices import set_up_for_absent_devices
    from podmeta.planning.plan import make_plan
    from podmeta.planning.report import plan_as_dict, plan_as_table

    set_up_for_absent_devices(job.numerics.matmul_precision)
    from podmeta.environments.kinds import with_known_kinds

    job = with_known_kinds(job, overrides)
    planned = make_plan(job, topology, int(stage) if stage is not None else None, call.tell)
    if call.flags.json:
        print(json.dumps(plan_as_dict(planned)))
    else:
        PlainConsole().print(plan_as_table(planned))
