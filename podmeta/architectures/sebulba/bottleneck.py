"""What the shares of time say in words: which knob to turn."""

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
      actor_seconds: seconds of all actors, by "inference", "environment" and "queue".
      learner_seconds: seconds of the learner, by "data" and "update".
    """
    total, learner_total = sum(actor_seconds.values()), sum(learner_seconds.values())
    shares = {activity: seconds / max(total, 1e-9) for activity, seconds in actor_seconds.items()}
    waited = learner_seconds["data"] / max(learner_total, 1e-9)
    activities = ", ".join(f"{share:.0%} in {activity}" for activity, share in shares.items())
    largest = max(shares, key=lambda activity: shares[activity])
    return f"actors spent {activities}; the learner waited for data {waited:.0%} of its time: {_CURES[largest]}"
