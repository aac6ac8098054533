"""Counts by hand."""


def symmetric_learner_matmul_flops(observation_size: int, num_actions: int, hidden_size: int, message_size: int) -> int:
    """FLOPs of the matrix products in an env step of one symmetric learner of one layer, from its equations."""
    a, b, n, m = observation_size, num_actions, hidden_size, message_size
    num_gates = 4 * n
    recurrent = a * b * n * num_gates
    per_input = a * (m + 1) * num_gates  # a backward message and an observation
    per_output = b * (m + 3) * num_gates  # a forward message, two scalars and an action
    messages = b * n * m + a * n * m
    value = n
    return 2 * (recurrent + per_input + per_output + messages + value)
