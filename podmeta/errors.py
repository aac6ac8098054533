"""The errors that podmeta tells its user about without a traceback."""


class PodmetaError(Exception):
    """Something failed while running: exit code 1."""


class InputError(PodmetaError):
    """The user's input is wrong. The message names the key or file and the cure: exit code 2."""


class SessionError(PodmetaError):
    """Something failed that left θ as it was after the last update, so that it can be saved."""
