"""FINDINGS.md: what results.yaml says, for people. Every sentence comes from it; a footnote names the trials behind it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.results_schema import ResultsFile
from analysis.wording import count
from foresight.storage.local import atomic_write_bytes

FINDINGS_NAME = "FINDINGS.md"
MOST_KEYS = 100  # trials of one footnote
MOST_ARMS = 40  # sentences about arms; a factorial has a thousand, and results.yaml all of them


class Footnotes:
    """Numbers the lists of trials, each once however many sentences rest on it."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[str, ...], int] = {}

    def mark(self, keys: list[str]) -> str:
        """`[^2]`, or nothing for a sentence without trials."""
        return f"[^{self.numbers.setdefault(tuple(keys), len(self.numbers) + 1)}]" if keys else ""

    def lines(self) -> list[str]:
        return [f"[^{n}]: {_listed(keys)}" for keys, n in self.numbers.items()]


def _listed(keys: tuple[str, ...]) -> str:
    more = f" and {len(keys) - MOST_KEYS} more, which results.yaml names" if len(keys) > MOST_KEYS else ""
    return ", ".join(f"`{key}`" for key in keys[:MOST_KEYS]) + more


def write_findings(results: ResultsFile, sweep: Mapping[str, Any], folder: Path) -> Path:
    """Writes `folder`/FINDINGS.md and returns its path; arguments as of `render_findings`."""
    path = folder / FINDINGS_NAME
    atomic_write_bytes(path, render_findings(results, sweep).encode())
    return path


def render_findings(results: ResultsFile, sweep: Mapping[str, Any]) -> str:
    """The whole page as Markdown. `sweep` is the content of sweep.json."""
    detailed, notes = results.detailed_analysis, Footnotes()
    counted = f"{detailed.coverage.text}{notes.mark(detailed.coverage.keys)}"
    registered = f"registered on {results.started_at}" if results.started_at else "without a date"
    head = [
        f"# {detailed.study}: findings",
        "",
        f"*Written by `python -m analysis {detailed.study}` from the run log. Footnotes name the trials behind each number; of a "
        "count of what is complete, those that are not.*",
        "",
        *([f"> {sweep['scale_note']}", ""] if sweep.get("scale_note") else []),
        *([f"**Question.** {sweep['question']}", ""] if sweep.get("question") else []),
        f"**Claim.** {results.claim} (`{detailed.claim_hash or 'no hash'}`, {registered})",
        "",
        *[line for text in detailed.amendments for line in (f"**Amended.** {text}", "")],
        f"**Status.** {results.status.replace('_', ' ').capitalize()}. {counted}",
        "",
        f"**Recommendation.** {results.recommendation.capitalize()}. {results.recommendation_notes} Confidence "
        f"{results.assessment.confidence}: {results.assessment.confidence_notes}",
    ]
    sections = {
        "Criteria": _criteria(results, notes),
        "Gate": _gate(results, notes),
        "Arms beside the baseline": _arms(results, notes),
        "Numbers": _numbers(results, notes),
        "What to know before believing this": _issues(results, notes),
        "Trials": notes.lines() or ["No number rests on a trial."],
    }
    body = [line for title, lines in sections.items() for line in ("", f"## {title}", "", *lines)]
    return "\n".join(line.replace("<", "&lt;") for line in [*head, *body]) + "\n"


def _criteria(results: ResultsFile, notes: Footnotes) -> list[str]:
    lines = []
    for criterion in results.detailed_analysis.criteria:
        mark = notes.mark(criterion.evidence.keys if criterion.evidence else [])
        waived = f" Waived, which is no pass: {criterion.waived.rstrip('.')}." if criterion.waived else ""
        lines.append(f"- {criterion.sentence}{mark}{waived}")
    return lines or ["The claim names no criterion."]


def _gate(results: ResultsFile, notes: Footnotes) -> list[str]:
    blockers, criteria = results.detailed_analysis.blockers, results.detailed_analysis.criteria
    if blockers:
        reasons = [f"- {blocker.text}{notes.mark(blocker.keys)}" for blocker in blockers]
        return [f"Closed, for {count(len(reasons), 'reason')}:", "", *reasons]
    waived = [criterion for criterion in criteria if criterion.waived]
    if waived:
        return ["Open by waiver, which is no pass:", "", *(f"- {c.name}: {c.waived}" for c in waived)]
    return ["Open: every criterion is met."]


def _issues(results: ResultsFile, notes: Footnotes) -> list[str]:
    found = results.detailed_analysis.issues
    return [f"- {issue.text}{notes.mark(issue.keys)}" for issue in found] or ["Nothing was found amiss."]


def _numbers(results: ResultsFile, notes: Footnotes) -> list[str]:
    """What each arm scored on the primary metric; the other metrics are in results.yaml."""
    found, primary = results.results.experiments, results.detailed_analysis.primary
    shown = list(found.values())[:MOST_ARMS]
    lines = [f"- {a.finding}{notes.mark(a.evidence[primary].keys if primary in a.evidence else [])}" for a in shown]
    return lines + ([f"- {len(found) - MOST_ARMS} more arms are in results.yaml."] if len(found) > MOST_ARMS else [])


def _arms(results: ResultsFile, notes: Footnotes) -> list[str]:
    found = results.detailed_analysis.comparisons
    lines = [f"- {c.sentence}{notes.mark(c.difference.keys if c.difference else [])}" for c in found[:MOST_ARMS]]
    if len(found) > MOST_ARMS:
        lines.append(f"- {len(found) - MOST_ARMS} more arms are in results.yaml.")
    return lines or ["There is no arm beside the baseline."]
