"""What is read from disk or the hub is data: no file that the project reads can run code, and no code comes with a checkpoint."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
FOLDERS = ("foresight", "analysis", "search_spaces", "sweeps", "benchmarks", "examples")
# Ray hands the driver a trial's error as a pickle, from this run's own temporary folder.
UNPICKLES_WHAT_RAY_WROTE = {"foresight/tuning/recorder.py: pickle.loads"}
EXECUTES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


def dotted(node: ast.expr) -> str:
    """`torch.load` of the expression that is called; an empty string for anything that is no plain name."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) and dotted(node.value) else ""


def findings(text: str) -> Iterator[str]:
    """What could run something that was read, or trusts code of others."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in EXECUTES:
            yield f"from {node.module} import"
        if isinstance(node, ast.keyword | ast.arg) and node.arg == "trust_remote_code":
            yield "trust_remote_code"
        if isinstance(node, ast.Constant) and node.value == "trust_remote_code":
            yield "trust_remote_code"
        if isinstance(node, ast.Call):
            yield from _of_call(dotted(node.func), {word.arg: word.value for word in node.keywords})


def _of_call(name: str, words: dict[str | None, ast.expr]) -> Iterator[str]:
    def says(word: str, value: bool) -> bool:
        given = words.get(word)
        return isinstance(given, ast.Constant) and given.value is value

    package, _, function = name.rpartition(".")
    if package.partition(".")[0] in EXECUTES and function not in ("dumps", "dump"):
        yield name
    if name == "torch.load" and not says("weights_only", True):
        yield "torch.load without weights_only"
    if name.endswith(".load") and "allow_pickle" in words and not says("allow_pickle", False):
        yield "load with allow_pickle"
    if name in (
        "yaml.load",
        "yaml.unsafe_load",
        "yaml.full_load",
        "eval",
        "exec",
        "pandas.read_pickle",
        "pd.read_pickle",
    ):
        yield name
    if name in ("torch.save", "torch.hub.load"):  # weights are safetensors
        yield name
    if name.endswith(".from_pretrained") and says("use_safetensors", False):
        yield "from_pretrained without safetensors"


def python_files() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (REPOSITORY / folder).rglob("*.py"))


def test_no_file_of_the_project_runs_what_it_reads():
    found = {
        f"{path.relative_to(REPOSITORY)}: {finding}"
        for path in python_files()
        for finding in findings(path.read_text())
    }
    assert found == UNPICKLES_WHAT_RAY_WROTE


@pytest.mark.parametrize(
    "text",
    [
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=flag)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "AutoModel.from_pretrained(name, **{'trust_remote_code': True})",
        "import pickle\npickle.load(file)",
        "from pickle import load",
        "numpy.load(path, allow_pickle=True)",
        "yaml.load(text, yaml.Loader)",
        "torch.save(model, path)",
        "joblib.load(path)",
        "pd.read_pickle(path)",
        "eval(text)",
        "AutoModel.from_pretrained(name, use_safetensors=False)",
    ],
)
def test_the_rule_finds_each_way(text):
    assert list(findings(text))


@pytest.mark.parametrize(
    "text",
    [
        "torch.load(path, weights_only=True)",
        "numpy.load(path)",
        "numpy.load(path, mmap_mode='r', allow_pickle=False)",
        "yaml.safe_load(text)",
        "json.loads(text)",
        "model.eval()",
        "safetensors.torch.load(content)",
    ],
)
def test_the_rule_lets_data_through(text):
    assert list(findings(text)) == []
