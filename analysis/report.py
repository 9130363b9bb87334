"""Writes results/<study>/: tables as CSV, figures as PNG and SVG, and report.html, one page that needs nothing else.

In: a Study. The page is a jinja2 template over values prepared here; every sentence in it comes from stored numbers.
"""

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from analysis import Study, wording
from analysis.amendments import amended_note
from analysis.cells import build_cells, shown_columns
from analysis.cost import build_cost, describe_cost
from analysis.coverage import describe_coverage
from analysis.figure_style import Drawing
from analysis.figures import draw_figures
from analysis.gate import closed_by, waived_in
from analysis.inline_svg import inline_svg
from analysis.page_rows import distinct_values, heldout_rows, records, scene_rows, share_rows, table_rows
from analysis.pictures import read_pictures
from analysis.section import Section
from analysis.sections import SECTIONS
from foresight.metrics import METRICS, SHARES
from foresight.price import Price
from foresight.storage.local import atomic_write_bytes

MOST_ROWS = 30  # of a section that stand open; more of them fold
MOST_SENTENCES = 40  # verdicts that stand open on the page; more of them fold
TEMPLATES = Path(__file__).parent / "templates"
# What the page takes from sweep.json beside the claim and the space; a log written by hand may lack any of them.
SWEEP_FIELDS = (
    "question", "scale", "scale_note", "data", "claim_hash", "created", "git_commit", "versions", "sensitivity",
)  # fmt: skip
DECISIVE_FIRST = ("better", "worse", "non-inferior", "undecided")
FIGURE_PLACES = {
    "effects": "effects",
    "learning_curves": "learning",
    "side_by_side": "pictures",
    "failures": "pictures",
}
MOST_ARMS = 60  # rows of a table of arms that stand open on the page; more of them fold
# Where a name without a blank may end a line: after the parts of an arm's name, never inside a number.
PARTS_OF_ARM, PARTS_OF_WORD = re.compile(r"\.(?=[A-Za-z_])|[=,]"), re.compile(r"[_/]")
# A number and its unit in the text between two tags: they never stand on two lines.
TEXT, UNIT = re.compile(r">[^<>]+<"), re.compile(r"(?<=\d) (?=(?:%|[kMG]|ms|MB|min|dB|[sh])(?![A-Za-z]))")
HEADING = re.compile(r'<h2 id="([^"]+)">(.*?)</h2>')


def write_report(study: Study, folder: Path, price: Price | None = None) -> Path:
    """Writes every file of the study's results into `folder` and returns the path of report.html.

    With a price per GPU-hour the cost is given in money as well.
    """
    frames = {
        "ablation_table": study.table(),
        "verdicts": study.verdicts(),
        "coverage": study.coverage(),
        "stream_shares": study.shares(),
        "breakdown": study.breakdown(),
        "heldout": study.heldout(),
        **{section.anchor: section.build(study) for section in (*SECTIONS, _cost_section(price))},
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
    atomic_write_bytes(path, render_report(study, drawings, price).encode())
    return path


def render_report(study: Study, drawings: list[Drawing], price: Price | None = None) -> str:
    """The whole page as text: its body first, from whose headings the table of contents is made."""
    data, table, verdicts, coverage = study.data, study.table(), study.verdicts(), study.coverage()
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"arm_name": arm_name, "breakable": breakable}
    arms = verdicts[verdicts["kind"] == "arm"]
    verdict_words = arms["verdict"].str.split(" (", regex=False).str[0]
    decisive_first = verdict_words.map({word: i for i, word in enumerate(DECISIVE_FIRST)}).fillna(len(DECISIVE_FIRST))
    values: dict[str, Any] = {
        "data": data,
        "claim": data.claim,
        "sweep": dict.fromkeys(SWEEP_FIELDS, "") | data.sweep,
        "w": wording,
        "metrics": METRICS,
        "primary": METRICS[data.claim.primary],
        "tested": data.tested_on(),
        "amended": amended_note(data.sweep).strip(),
        "judged": data.claim.judged_arm(data.arms),
        "closed_by": closed_by(study.gate()),
        "waived_in": waived_in(study.gate()),
        "criterion_confidence": f"{100 * (1 - data.claim.alpha):.4g}",
        "criteria": records(verdicts[verdicts["kind"] == "criterion"]),
        "arms": records(arms.loc[decisive_first.sort_values(kind="stable").index]),
        "tests": wording.capitalised(
            " and ".join(methods := sorted({name for name in arms["method"].dropna() if name}))
        ),
        "n_tests": len(methods),
        "verdict_counts": [(word, int(n)) for word, n in verdict_words.value_counts().items()],
        "fold_verdicts": len(arms) > MOST_SENTENCES,
        "fold_arms": len(data.arms) > MOST_ARMS,
        "coverage_sentences": describe_coverage(coverage),
        "coverage": records(coverage),
        "cautions": study.cautions(),
        "rows": table_rows(table, dict(zip(arms["name"], arms["verdict"], strict=True))),
        "sections": (sections := [found for s in SECTIONS if (found := _fill_section(study, s, drawings))]),
        "cost": _fill_section(study, _cost_section(price), drawings),
        "figures": _group_figures(drawings, {stem for found in sections for stem in found["section"].figures}),
        "scenes": (scenes := scene_rows(study)),
        "scene_types": {row["scene"]: row["n_images"] for found in scenes.values() for row in found.values()},
        "heldout": heldout_rows(study),
        "shares": share_rows(study),
        "share_names": SHARES,
        "picture_groups": read_pictures(data),
        "environment": distinct_values(data.complete, "env/"),
        "n_seeds": wording.n_range(
            [int(n) for n in table.loc[(table["kind"] == "arm") & (table["role"] == "primary"), "n_seeds"]], "seed"
        ),
    }
    body = keep_units(environment.get_template("body.html.j2").render(values))
    contents = [(anchor, Markup(title)) for anchor, title in HEADING.findall(body)]
    return environment.get_template("report.html.j2").render(values, body=Markup(body), contents=contents)


def arm_name(text: str) -> Markup:
    """An arm's name that may end a line after each of its parts."""
    return Markup(PARTS_OF_ARM.sub(lambda found: f"{found[0]}<wbr>", str(escape(text))))


def breakable(text: str) -> Markup:
    """One long word, such as a metric's name, that may end a line inside; several words as they are."""
    return (
        escape(text) if " " in text else Markup(PARTS_OF_WORD.sub(lambda found: f"{found[0]}<wbr>", str(escape(text))))
    )


def keep_units(html: str) -> str:
    """The page with a blank that never breaks between each number and its unit."""
    return TEXT.sub(lambda text: UNIT.sub("\N{NO-BREAK SPACE}", text[0]), html)


def _cost_section(price: Price | None) -> Section:
    """Cost stands on the page with the training, and in money only at the price that the reader named."""
    columns = {
        "arm": "Arm",
        "n_trials": "Trials",
        "train_s": "Training",
        "trial_s": "Whole trials",
        "gpu_s": "GPU time",
    }
    money = {"money": f"Cost in {price.currency}"} if price else {}
    return Section("cost", "Cost", lambda study: build_cost(study.data, price), columns | money, describe_cost)


def _fill_section(study: Study, section: Section, drawings: list[Drawing]) -> dict[str, Any] | None:
    """A section's sentences, figures and cells; nothing where its frame is empty."""
    frame = section.build(study)
    if frame.empty:
        return None
    columns = shown_columns(frame, list(section.columns))
    cells = build_cells(frame, columns)
    kinds = [next((cell.kind for cell in column if cell.sort), "number") for column in zip(*cells, strict=True)]
    figures = [_shown(drawing) for drawing in drawings if drawing.stem in section.figures]
    heads = [(section.columns[name], kind) for name, kind in zip(columns, kinds, strict=True)]
    return {
        "section": section,
        "sentences": section.describe(frame),
        "figures": figures,
        "cells": cells,
        "heads": heads,
        "fold": len(cells) > MOST_ROWS,
    }


def _group_figures(drawings: list[Drawing], placed: set[str]) -> dict[str, list[dict[str, Any]]]:
    """The drawings that no section shows, by their place on the page."""
    groups: dict[str, list[dict[str, Any]]] = {name: [] for name in (*FIGURE_PLACES.values(), "further")}
    for drawing in drawings:
        if drawing.stem in placed:
            continue
        name = "effects" if drawing.stem.startswith("factor_") else FIGURE_PLACES.get(drawing.stem, "further")
        groups[name].append(_shown(drawing))
    return groups


def _shown(drawing: Drawing) -> dict[str, Any]:
    return {"drawing": drawing, "svg": inline_svg(drawing)}
