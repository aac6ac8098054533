"""The checks of `podmeta check`. This module needs no JAX; a check's own is imported when it runs."""

CHECKS = {
    "devices": "every device computes, keeps what is stored on it, and exchanges sums with the others",
    "updates": "evolution and actor-critic on bandits reach the results that a CPU reached, and the same bits twice",
    "division": "members have the same fitness however they are divided over the devices",
    "resume": "a checkpoint resumes on another number of devices",
    "sebulba": "actors and a learner on the first device reach the results that a CPU reached",
    "throughput": "what the devices reach, and what limits them",
}
"""What each check shows, in the order in which they run. `name` is the module `podmeta.checks.name`."""
