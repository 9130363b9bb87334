"""What the command prints of one study: the primary metric of every arm, then criteria, coverage and cautions."""

import math

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from analysis import Study, wording
from analysis.coverage import describe_coverage
from analysis.proposals import describe_proposals

WITHOUT_VERDICT = {"trivial": "trivial predictor", "ceiling": "ceiling"}


def print_summary(study: Study) -> None:
    """The primary metric of every arm as a table, then criteria, coverage and cautions."""
    data, verdicts = study.data, study.verdicts()
    arms = verdicts[verdicts["kind"] == "arm"]
    verdict_of = dict(zip(arms["name"], arms["verdict"], strict=True))
    decimals, names = wording.decimals_of(data.claim.primary), wording.short_arms(data.arms)
    console = Console(highlight=False)
    console.print(f"{data.name}: {wording.metric_phrase(data.claim.primary)}, {data.tested}, 95 % intervals")
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)  # 80 columns hold it
    for column in ("arm", "seeds", "mean", "difference", "verdict"):
        table.add_column(column, justify="left" if column in ("arm", "verdict") else "right", no_wrap=True)
    rows = study.table()
    for _, row in rows[rows["role"] == "primary"].iterrows():
        is_arm = row["kind"] == "arm"
        # Of an interval that is cut at the metric's range, the longer side is the whole half.
        half = max(row["high"] - row["mean"], row["mean"] - row["low"])
        difference_half = (row["difference_high"] - row["difference_low"]) / 2
        table.add_row(
            names[row["arm"]] if is_arm else row["arm"],
            str(row["n_seeds"]) if is_arm else "",
            _with_half_width(wording.number(row["mean"], decimals), half, decimals),
            _with_half_width(wording.signed(row["difference"], decimals), difference_half, decimals),
            _verdict_cell(verdict_of.get(row["arm"], "")) if is_arm else WITHOUT_VERDICT[row["kind"]],
        )
    console.print(table)
    for _, row in study.param_efficiency().query("basis == 'claim'").iterrows():
        shown = f"{wording.number(row['efficiency'])} {wording.interval(row['low'], row['high'])}".strip()
        console.print(f"{row['arm']}: {row['metric']} {shown}. {row['warnings']}".strip(), markup=False)
    for note in describe_proposals(study.proposals()):
        console.print(note, markup=False)
    for note in (data.sweep.get("scale_note"), *verdicts.loc[verdicts["kind"] == "criterion", "sentence"]):
        if note:
            console.print(note, markup=False)
    for note in (*describe_coverage(study.coverage()), *(caution.text for caution in study.cautions())):
        console.print(note, markup=False)


def _verdict_cell(verdict: str) -> str:
    """`none: 4 of 5, 1 failed`: 80 columns have no room for more."""
    return wording.short_verdict(verdict).replace("no verdict (", "none: ").rstrip(")")


def _with_half_width(text: str, half_width: float, decimals: int) -> str:
    return text if math.isnan(half_width) else f"{text} ±{wording.number(half_width, decimals)}"
