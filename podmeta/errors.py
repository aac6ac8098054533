"""The errors that podmeta shows to the user without a traceback."""


class PodmetaError(Exception):
    """Something failed while running: exit code 1."""


class InputError(PodmetaError):
    """The user's input is wrong. The message names the key or file and the cure: exit code 2."""


class SessionError(PodmetaError):
    """Something failed after an update whose θ is intact and can be saved."""
