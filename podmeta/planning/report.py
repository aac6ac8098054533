"""A plan as a table, or as one JSON object."""

from typing import Any

from rich.table import Table

from podmeta.planning.dry_run import DryRun
from podmeta.planning.plan import Plan
from podmeta.value_types import Json


def plan_as_dict(plan: Plan) -> dict[str, Json]:
    """The plan as one JSON object. Names say what is per device or chip; sizes are in bytes and times in seconds."""
    product, costs, roofline = plan.topology.product, plan.costs, plan.roofline
    report: dict[str, Any] = {
        "topology": str(plan.topology),
        "devices": plan.topology.num_devices,
        "chips": plan.topology.num_chips,
        "stage": plan.stage,
        "size_key": plan.size_key,
        "asked_size": plan.asked_size,
        "divides": plan.divides,
        "planned_size": plan.planned_size,
        "fits": plan.tried[0].fits,
        "largest_size_per_device": plan.largest,
        "tried": [fit._asdict() for fit in plan.tried],
        "peaks_per_device": product.peaks._asdict(),
        "hbm_limit_bytes_per_device": product.hbm_bytes,
    }
    if costs is not None and roofline is not None:
        report |= {
            "hbm_bytes_per_device": {**costs.memory._asdict(), "total": costs.memory.total},
            "env_steps_per_update": costs.env_steps,
            "flops_per_update_per_device": {**costs.flops._asdict(), "total": costs.flops.total},
            "flops_per_update": costs.flops.total * plan.topology.num_devices,
            "hbm_traffic_bytes_per_update_per_device": costs.hbm_traffic_bytes,
            "collectives_per_update": [each._asdict() for each in costs.collectives],
            "roofline": roofline._asdict(),
        }
    return report


def plan_as_table(plan: Plan) -> Table:
    """The plan as a table."""
    product, costs, roofline = plan.topology.product, plan.costs, plan.roofline
    table = Table(
        title=f"{plan.topology}, {plan.topology.num_devices:,} devices, stage {plan.stage}", show_header=False
    )
    table.add_row("planned", f"{plan.size_key}={plan.planned_size:,}")
    if not plan.divides:
        table.add_row("the job's own", f"{plan.size_key}={plan.asked_size:,} does not divide over the devices")
    limit = f"of {_bytes(product.hbm_bytes)} per device"
    if costs is None or roofline is None:
        table.add_row("memory", f"too much: XLA refuses it. There is {_bytes(product.hbm_bytes)} per device")
    else:
        memory, peaks = costs.memory, product.peaks
        table.add_row("memory", f"{_bytes(memory.total)} {limit}" + ("" if plan.tried[0].fits else ": too much"))
        for part in memory._fields:
            table.add_row(f"  {part}", _bytes(getattr(memory, part)))
        table.add_row("FLOPs per update, of a device", _number(costs.flops.total))
        table.add_row("  of matrix products", _number(costs.flops.matmul + costs.flops.matmul_bfloat16))
        if costs.flops.unknown_loops:
            table.add_row("  counted once", f"{costs.flops.unknown_loops} loops whose length the program does not say")
        table.add_row("memory traffic per update, of a device", _bytes(costs.hbm_traffic_bytes))
        for each in costs.collectives:
            table.add_row(
                f"{each.name} over {each.num_devices:,} devices", f"{each.times} per update, {_bytes(each.num_bytes)}"
            )
        table.add_row("env steps per update", f"{costs.env_steps:,}")
        table.add_row("no faster than, one chip", f"{_number(roofline.env_steps_per_second_per_chip)} env steps/s")
        table.add_row("no faster than, all chips", f"{_number(roofline.env_steps_per_second)} env steps/s")
        for part, seconds in sorted(roofline.seconds.items(), key=lambda item: -item[1]):
            table.add_row(f"  {part} takes", f"{seconds * 1e6:,.3g} µs per update")
        table.add_row("peak figures from", peaks.source)
    table.add_row(f"largest {plan.size_key} per device", f"{plan.largest:,}" if plan.largest else "none fits")
    for fit in plan.tried[1:]:
        needed = "" if fit.needed_bytes is None else f", needs about {_bytes(fit.needed_bytes)}"
        table.add_row(f"  {fit.size:,}", f"{'fits' if fit.fits else 'does not fit'}{needed}")
    return table


def dry_run_as_table(dry_run: DryRun) -> Table:
    """What a job would train, as a table."""
    table = Table(show_header=False)
    for name, value in (
        ("experiment", dry_run.experiment_name),
        ("learner", f"{dry_run.learner}, {dry_run.num_meta_params:,} parameters (θ)"),
        ("instances", f"{dry_run.num_instances:,}"),
        ("outer loop", dry_run.outer),
        ("architecture", dry_run.architecture),
        ("devices", "\n".join(dry_run.devices)),
    ):
        table.add_row(name, value)
    for stage in dry_run.stages:
        table.add_section()
        table.add_row(stage.name, "\n".join(stage.environments))
        table.add_row("updates", f"{stage.num_updates:,}")
        table.add_row("env steps per update", f"{stage.env_steps_per_update:,}")
        if stage.memory is None:
            table.add_row("memory", "not known before actors and learner run")
        else:
            table.add_row("memory per device", _bytes(stage.memory.total))
            for part in stage.memory._fields:
                table.add_row(f"  {part}", _bytes(getattr(stage.memory, part)))
            table.add_row("compiled in", f"{stage.compile_seconds:.1f} s")
    return table


def _bytes(number: float) -> str:
    for magnitude, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if number >= magnitude:
            return f"{number / magnitude:,.3g} {name}"
    return f"{number:.0f} B"


def _number(number: float) -> str:
    """Three digits and the name of the magnitude."""
    for magnitude, name in ((1e15, " P"), (1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= magnitude:
            return f"{number / magnitude:.3g}{name}"
    return f"{number:.3g}"
