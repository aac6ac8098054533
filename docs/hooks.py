"""What mkdocs adds to the pages of this folder: the one that is written from the schema."""

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from podmeta.config.reference import config_reference


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the page of all config keys."""
    files.append(File.generated(config, "config_keys.md", content=config_reference()))
    return files
