"""Reading the files in cluster/ as their users do: filled in, then parsed."""

import re
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]
CLUSTER = REPOSITORY / "cluster"
PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
README = (CLUSTER / "README.md").read_text()


def placeholders(path: Path) -> set[str]:
    """The names that a template wants filled in; a comment may show one as well."""
    return set(PLACEHOLDER.findall(path.read_text()))


def render(path: Path, values: dict[str, str]) -> str:
    """What `envsubst '$A $B' < path` prints. Raises KeyError for a placeholder without a value."""
    return PLACEHOLDER.sub(lambda match: values[match[1]], path.read_text())


def load_all(path: Path, values: dict[str, str]) -> list[dict[str, Any]]:
    """Every document of a filled-in YAML file."""
    return list(yaml.safe_load_all(render(path, values)))


def makefile_uv() -> str:
    """The version of uv that the Makefile installs, as every way to an environment should."""
    found = re.search(r"uv==([\d.]+)", (REPOSITORY / "Makefile").read_text())
    assert found
    return found[1]
