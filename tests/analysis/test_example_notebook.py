"""The example notebook runs on a small run log, top to bottom, and was stored without outputs."""

import ast
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "read_a_study.ipynb"


@pytest.fixture(scope="module")
def cells() -> list[dict[str, Any]]:
    return [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]


def run_cell(source: str, names: dict[str, Any]) -> Any:
    """Runs a cell as a notebook does and returns the value of its last expression, None where it ends otherwise."""
    body = ast.parse(source).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), NOTEBOOK.name, "exec"), names)
    return eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names) if last else None


def test_every_cell_runs(cells, write_study, monkeypatch, capsys):
    monkeypatch.chdir(write_study().parents[1])
    names: dict[str, Any] = {}
    shown = [run_cell("".join(cell["source"]), names) for cell in cells]
    frames = [value for value in shown if isinstance(value, pd.DataFrame)]
    assert len(frames) == 5
    verdicts, table, pareto, efficiency, trials = frames
    assert len(verdicts) == 2 + 14
    assert set(table["arm"]) >= {"baseline", "fusion.layers=2", "mean_image"}
    assert len(pareto) == 15
    assert set(efficiency["basis"]) == {"capacity"}  # this claim names no reference
    assert trials["count"].tolist() == [5] * 15
    assert names["verdicts"]["sentence"].iloc[0] in capsys.readouterr().out


def test_no_output_is_stored(cells):
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
