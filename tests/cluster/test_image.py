"""cluster/Dockerfile, instruction by instruction: there is no builder here."""

import ast
import fnmatch
import re
import tomllib

import pytest
from cluster_files import CLUSTER, REPOSITORY, makefile_uv

DOCKERFILE = CLUSTER / "Dockerfile"
IGNORED = (CLUSTER / "Dockerfile.dockerignore").read_text().splitlines()


def read_instructions(text: str) -> list[tuple[str, str]]:
    """Instruction and arguments of every instruction, lines joined, comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name.upper(), rest.strip()) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


INSTRUCTIONS = read_instructions(DOCKERFILE.read_text())


def arguments(name: str) -> list[str]:
    return [rest for instruction, rest in INSTRUCTIONS if instruction == name]


def reaches_the_builder(path: str) -> bool:
    """Whether .dockerignore lets a file of the repository through; as in Docker, the last pattern that matches decides."""
    is_in = True
    for pattern in filter(None, (line for line in IGNORED if not line.startswith("#"))):
        bare = pattern.removeprefix("!")
        parts = path.split("/")
        prefixes = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        if any(fnmatch.fnmatch(prefix, bare) for prefix in prefixes) or (
            bare.startswith("**/") and bare.removeprefix("**/") in parts
        ):
            is_in = pattern.startswith("!")
    return is_in


def test_only_known_instructions_and_a_base_with_a_version():
    assert {name for name, _ in INSTRUCTIONS} <= {"FROM", "RUN", "ENV", "WORKDIR", "COPY", "ARG", "USER"}  # no ADD
    (base,) = arguments("FROM")
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base)


def test_the_python_is_one_that_the_project_takes():
    wanted = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["requires-python"]
    (minor,) = re.findall(r"python:3\.(\d+)", arguments("FROM")[0])
    lowest, above = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", wanted).groups()
    assert int(lowest) <= int(minor) < int(above)


def test_packages_are_those_of_the_lock_by_the_makefiles_uv():
    runs = "\n".join(arguments("RUN"))
    assert f"uv=={makefile_uv()}" in runs
    assert "uv pip install --no-cache --compile-bytecode --requirement /opt/requirements.lock" in runs
    order = [rest for _, rest in INSTRUCTIONS]
    assert order.index("requirements.lock /opt/requirements.lock") < order.index(
        "foresight foresight"
    )  # a cached layer


def test_what_is_copied_is_there_and_reaches_the_builder():
    for copied in arguments("COPY"):
        source, _ = copied.split()
        assert (REPOSITORY / source).exists()
        assert reaches_the_builder(source)


@pytest.mark.parametrize(
    "path",
    [".git/config", ".venv/bin/python", "runs/p2_ablations/sweep.json", "wandb/x", ".env", "foresight/__pycache__/x"],
)
def test_nothing_else_reaches_the_builder(path):
    assert not reaches_the_builder(path)


def test_the_working_directory_holds_what_the_studies_import():
    assert arguments("WORKDIR") == ["/opt/foresight"]
    after = INSTRUCTIONS[INSTRUCTIONS.index(("WORKDIR", "/opt/foresight")) :]
    copied = {rest.split()[1] for name, rest in after if name == "COPY"}
    assert "sweeps" in copied
    own = {path.parent.name for path in REPOSITORY.glob("*/__init__.py")}
    imported = set()
    for folder in copied & own | {"sweeps"}:
        for path in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and node.module:
                    imported.add(node.module.split(".")[0])
                elif isinstance(node, ast.Import):
                    imported |= {alias.name.split(".")[0] for alias in node.names}
    assert imported & own <= copied


def test_it_runs_as_nobody_in_particular_and_knows_no_secret():
    assert INSTRUCTIONS[-1] == ("USER", "1000")
    assert "--uid 1000" in "\n".join(arguments("RUN"))
    assert INSTRUCTIONS[-2] == ("RUN", "useradd --create-home --uid 1000 ray && chown ray /opt/foresight")  # for runs/
    assert arguments("ARG") == ["COMMIT=unknown"]
    assert not re.search(r"token|secret|password|api_key", DOCKERFILE.read_text(), re.IGNORECASE)


def test_every_run_log_can_name_the_commit():
    assert 'echo "$COMMIT" > COMMIT' in arguments("RUN")
