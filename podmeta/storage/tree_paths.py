"""The paths of a tree's leaves, as `jax.tree_util.keystr` writes them."""

import re

_KEY = re.compile(r"\.(\w+)|\[(\d+)\]|\['([^']*)'\]")


def path_keys(path: str) -> tuple[str, ...]:
    """The keys of a path, which are the same whether its nodes are named tuples, dictionaries, tuples or lists.

    Args:
      path: such as ".outer.meta_params['gates']['w']" or ".lifetimes[0].task".
    """
    return tuple(next(key for key in match.groups() if key is not None) for match in _KEY.finditer(path))
