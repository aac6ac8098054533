"""Trains on several devices: python examples/many_devices.py [NUMBER OF CPU DEVICES]

On a machine with GPUs or TPUs, all of them are used, and the argument has no effect. The slots of an update are divided
among the devices. Random draws do not depend on their number, so θ differs by rounding only. Several machines take one
process each: see launch/.
"""

import sys

import podmeta


def main() -> None:
    """Trains a small job, and prints what it ran on."""
    devices = sys.argv[1] if len(sys.argv) > 1 else "2"
    run = podmeta.train(
        "experiment=bandit",
        f"devices.cpu={devices}",
        "environment.lifetime_length=20",
        "outer.population_size=16",
        "num_updates=10",
        f"run_dir=runs/on_{devices}_devices",
    )
    summary = run.summary
    assert summary is not None
    print(f"{summary.env_steps:,} env steps, {summary.env_steps_per_second:,.0f} per second")


if __name__ == "__main__":
    main()
