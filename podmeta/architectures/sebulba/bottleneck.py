"""What limits the speed, and which config key helps, in one line.

In a pipeline, the side that waits less is the bottleneck.
"""

from collections.abc import Mapping

_CURES = {
    "environment": "environments are the bottleneck: more architecture.actor_threads, or a faster environment",
    "inference": "inference is the bottleneck: more lifetimes per actor, more architecture.actor_devices, or a smaller "
    "learner",
    "queue": "the learner is the bottleneck: more architecture.learner_devices, fewer epochs, or a larger "
    "architecture.max_lag",
}


def advise(actor_seconds: Mapping[str, float], learner_seconds: Mapping[str, float]) -> str:
    """One line about where the time went.

    Args:
      actor_seconds: seconds of all actors, by "inference", "environment" and "queue". Compilation is left out.
      learner_seconds: seconds of the learner, by "data" and "update", likewise.
    """
    shares, of_learner = _shares(actor_seconds), _shares(learner_seconds)
    activities = ", ".join(f"{share:.0%} in {activity}" for activity, share in shares.items())
    waited = of_learner["data"]
    bottleneck = (
        "queue" if shares["queue"] > waited else max(("environment", "inference"), key=lambda name: shares[name])
    )
    return f"actors spent {activities}; the learner waited for data {waited:.0%} of its time: {_CURES[bottleneck]}"


def _shares(seconds: Mapping[str, float]) -> dict[str, float]:
    total = max(sum(seconds.values()), 1e-9)
    return {activity: spent / total for activity, spent in seconds.items()}
