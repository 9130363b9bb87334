"""Writes results/<study>/: tables as CSV, figures as PNG and SVG, and report.html, one page that needs nothing else.

In: a Study. The page is a jinja2 template over values prepared here; every sentence in it comes from stored numbers.
"""

import math
import re
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from analysis import Study, wording
from analysis.cells import build_cells
from analysis.coverage import describe_coverage
from analysis.figure_style import BLUE, FAINT, GREEN, INK, MUTED, PAPER, VERMILLION, Drawing
from analysis.figures import draw_figures
from analysis.pictures import read_pictures
from analysis.sections import SECTIONS
from foresight.metrics import METRICS, SHARES
from foresight.runlog import atomic_write_bytes

MOST_SENTENCES = 40  # verdicts that stand open on the page; more of them fold
MOST_VALUES = 6  # of one column of the environment that are listed
TEMPLATES = Path(__file__).parent / "templates"
# What the page takes from sweep.json beside the claim and the space; a log written by hand may lack any of them.
SWEEP_FIELDS = (
    "question", "scale", "scale_note", "data", "claim_hash", "created", "git_commit", "versions", "sensitivity",
)  # fmt: skip
# Colours of the figures that the page sets itself, so that they stay legible on a dark one.
PAGE_COLOURS = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    FAINT: "var(--faint)",
    PAPER: "var(--paper)",
    BLUE: "var(--blue)",
    GREEN: "var(--green)",
    VERMILLION: "var(--vermillion)",
}


def write_report(study: Study, folder: Path) -> Path:
    """Writes every file of the study's results into `folder` and returns the path of report.html."""
    frames = {
        "ablation_table": study.table(),
        "verdicts": study.verdicts(),
        "coverage": study.coverage(),
        "stream_shares": study.shares(),
        "breakdown": study.breakdown(),
        "heldout": study.heldout(),
        **{section.anchor: section.build(study) for section in SECTIONS},
    }
    for name, frame in frames.items():
        path = folder / f"{name}.csv"
        if len(frame):
            atomic_write_bytes(path, frame.to_csv(index=False).encode())
        else:  # an earlier run of the analysis must not leave its table behind
            path.unlink(missing_ok=True)
    drawings = draw_figures(study)
    for stale in (folder / "figures").glob("*"):  # a factor that is gone must not leave its figure behind
        if stale.suffix in (".png", ".svg") and stale.stem not in {drawing.stem for drawing in drawings}:
            stale.unlink()
    for drawing in drawings:
        atomic_write_bytes(folder / "figures" / f"{drawing.stem}.png", drawing.png)
        atomic_write_bytes(folder / "figures" / f"{drawing.stem}.svg", drawing.svg.encode())
    path = folder / "report.html"
    atomic_write_bytes(path, render_report(study, drawings).encode())
    return path


def render_report(study: Study, drawings: list[Drawing]) -> str:
    """The whole page as text."""
    data, table, verdicts, coverage = study.data, study.table(), study.verdicts(), study.coverage()
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    arms = verdicts[verdicts["kind"] == "arm"]
    return environment.get_template("report.html.j2").render(
        data=data,
        claim=data.claim,
        sweep=dict.fromkeys(SWEEP_FIELDS, "") | data.sweep,
        w=wording,
        metrics=METRICS,
        judged=data.claim.judged_arm(data.arms),
        criteria=_records(verdicts[verdicts["kind"] == "criterion"]),
        arms=_records(arms),
        verdict_counts=[
            (v, int(n)) for v, n in arms["verdict"].str.split(" (", regex=False).str[0].value_counts().items()
        ],
        fold_verdicts=len(arms) > MOST_SENTENCES,
        coverage_sentences=describe_coverage(coverage),
        coverage=_records(coverage),
        cautions=study.cautions(),
        rows=_table_rows(table, dict(zip(arms["name"], arms["verdict"], strict=True))),
        sections=_sections(study),
        figures=[(drawing, inline_svg(drawing)) for drawing in drawings],
        scenes=(scenes := _scene_rows(study)),
        scene_types={row["scene"]: row["n_images"] for found in scenes.values() for row in found.values()},
        heldout=_heldout_rows(study),
        shares=_share_rows(study),
        share_names=SHARES,
        picture_groups=read_pictures(data),
        costs=_costs(data.trials),
        environment=_distinct(data.complete, "env/"),
        n_seeds=wording.n_range([int(n) for n in table.loc[table["kind"] == "arm", "n_seeds"]], "seed"),
    )


def inline_svg(drawing: Drawing) -> Markup:
    """A figure as an element of the page: its own names, its text for screen readers, ink and paper of the page."""
    svg = drawing.svg[drawing.svg.index("<svg") :]
    svg = re.sub(r'\bid="', f'id="{drawing.stem}-', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{drawing.stem}-", svg)
    for colour, variable in PAGE_COLOURS.items():
        svg = svg.replace(colour, variable)
    attributes = Markup('<svg role="img" aria-label="{}" ').format(drawing.alt)
    return Markup(svg.replace("<svg ", attributes, 1))


def _sections(study: Study) -> list[dict[str, Any]]:
    """Every frame with a row: its heading, its sentences, and its table as cells."""
    found = []
    for section in SECTIONS:
        frame = section.build(study)
        if len(frame):
            cells = build_cells(frame, list(section.columns))
            sentences = section.describe(frame)
            found.append({"section": section, "sentences": sentences, "cells": cells})
    return found


def _table_rows(table: pd.DataFrame, verdict_of: dict[str, str]) -> list[dict[str, Any]]:
    """One entry per arm or trivial predictor: its row for the primary metric and one for each other metric."""
    entries: dict[str, dict[str, Any]] = {}
    for row in _records(table):
        arm = row["arm"]
        entry = entries.setdefault(arm, {"arm": arm, "others": [], "verdict": verdict_of.get(arm, "")})
        if row["role"] == "primary":
            entry["primary"] = row
        else:
            entry["others"].append(row)
    return list(entries.values())


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dicts with one kind of missing value, nan."""
    plain = frame.astype(object)
    return [
        {str(name): v for name, v in row.items()} for row in plain.where(frame.notna(), math.nan).to_dict("records")
    ]


def _scene_rows(study: Study) -> dict[str, dict[str, dict[str, Any]]]:
    """Arm to its row of the primary metric for each scene type."""
    rows = study.breakdown()
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in _records(rows[rows["metric"] == study.data.claim.primary]):
        found.setdefault(row["arm"], {})[row["scene"]] = row
    return found


def _heldout_rows(study: Study) -> dict[str, dict[tuple[str, str], dict[str, dict[str, Any]]]]:
    """Set to (kind, arm or predictor) to its row of each metric."""
    found: dict[str, dict[tuple[str, str], dict[str, dict[str, Any]]]] = {}
    for row in _records(study.heldout()):
        found.setdefault(row["set"], {}).setdefault((row["kind"], row["arm"]), {})[row["metric"]] = row
    return found


def _share_rows(study: Study) -> dict[str, dict[str, dict[str, Any]]]:
    """Arm to its row of each share; without the shares that no arm recorded."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in _records(study.shares()):
        found.setdefault(row["arm"], {})[row["share"]] = row
    return found


def _costs(trials: pd.DataFrame) -> list[tuple[str, str]]:
    """What the sweep has cost so far, failed and stopped trials included."""
    train_s, gpu_s = trials["cost/train_s"].astype(float), trials["cost/gpu_s"].astype(float)
    memory = trials["cost/peak_memory_mb"].astype(float).max()
    return [
        ("Trials recorded", str(len(trials))),
        ("Training time, all trials", wording.duration(train_s.sum())),
        ("Training time, median trial", wording.duration(train_s.median())),
        ("GPU time, all trials", wording.duration(gpu_s.sum())),
        ("Largest peak memory", f"{wording.number(memory, 0)} MB"),
    ]


def _distinct(rows: pd.DataFrame, prefix: str) -> list[tuple[str, str]]:
    """Each column with that prefix and the values found in it, so that a mixed environment shows."""
    found = []
    for column in map(str, rows.columns):
        values = sorted(map(str, rows[column].dropna().unique())) if column.startswith(prefix) else []
        if values:
            listed = ", ".join(values) if len(values) <= MOST_VALUES else f"{len(values)} different values"
            found.append((column.removeprefix(prefix), listed))
    return found
