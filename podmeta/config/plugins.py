"""Entry points of installed packages. Their code is not imported here.

[project.entry-points."podmeta.environments"]
maze = "my_package.mazes:make_maze"        # environment=maze: a preset of environment=factory
[project.entry-points."podmeta.configs"]
my_package = "my_package.configs"          # a package that holds environment/*.yaml, experiment/*.yaml, …
"""

import functools
import importlib.util
from importlib.metadata import entry_points
from pathlib import Path

_FACTORIES = {
    "learner": "podmeta.learners",
    "environment": "podmeta.environments",
    "outer": "podmeta.outer_loops",
}
"""By config group, the group of the entry points that name factories for it."""


@functools.cache
def named_factories(group: str) -> dict[str, str]:
    """The factories, such as "my_package.mazes:make_maze", by the names that packages give them in a config group."""
    points = entry_points(group=_FACTORIES[group]) if group in _FACTORIES else ()
    return {point.name: point.value for point in points}


@functools.cache
def config_folders() -> tuple[Path, ...]:
    """The folders of the YAML files of packages."""
    folders = []
    for point in entry_points(group="podmeta.configs"):
        package, *below = point.value.split(".")
        spec = importlib.util.find_spec(package)
        for location in (spec.submodule_search_locations if spec else None) or ():
            folder = Path(location, *below)
            if folder.is_dir():
                folders.append(folder)
    return tuple(folders)
