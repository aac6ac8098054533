"""What a package index shows of podmeta; pyproject.toml says all else."""

import re
from pathlib import Path

from setuptools import setup

PUBLISHED = ""
"""Where the files of this repository can be read, with a slash at the end. Without it, links to them become text."""


def readme_for_index(readme: str, published: str) -> str:
    """The README without links that lead nowhere outside the repository.

    Args:
      readme: its text.
      published: `PUBLISHED`. Relative links and pictures lead there. If it is empty, pictures go and links become text.
    """
    if not published:
        readme = re.sub(r"!\[[^]]*\]\((?!https?:)[^)]*\)\n*", "", readme)
    link = rf"[\1]({published}\2)" if published else r"\1"
    return re.sub(r"\[([^]]*)\]\((?!https?:|#)([^)\s]*)\)", link, readme)


if __name__ == "__main__":
    text = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
    setup(long_description=readme_for_index(text, PUBLISHED), long_description_content_type="text/markdown")
