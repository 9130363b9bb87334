"""`--plan` of a search: how far it is, what the rest would cost, and how far a budget goes."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import small_search
from played_runner import command, play

SEARCH = replace(small_search.SEARCH, asha=None)
SECONDS = 36.0  # of a trial: 0.01 slot-hours, and a proposal is two
COSTS = {"cost/trial_s": SECONDS, "cost/train_s": SECONDS, "cost/gpu_s": 0.0, "cost/flops": 1e6}


@pytest.fixture
def flags(tmp_path: Path, monkeypatch) -> tuple[str, ...]:
    """Of a search of four proposals, the first two of which have run."""
    monkeypatch.setattr("foresight.tuning.flags.cluster_cpus", lambda: 1)
    play(monkeypatch, tmp_path, lambda item: {"val/loss": item.trial.config.train.lr, **COSTS})
    flags = ("--runs", str(tmp_path / "runs"))
    ended = command(SEARCH, *flags, "--trials", "2")
    assert ended.exit_code == 0, ended.output
    return (*flags, "--trials", "4", "--plan")


def planned(*flags: str) -> dict:
    shown = command(SEARCH, *flags, "--json")
    assert shown.exit_code == 0, shown.output
    return json.loads(shown.stdout)


def test_it_says_how_far_the_search_is(flags):
    plan = planned(*flags)
    assert (plan["n_proposed"], plan["status"], plan["cost"]["n_trials"]) == (2, {"complete": 4}, 4)
    assert plan["budget"] is None


def test_a_limit_is_what_the_run_would_have_of_it(flags):
    assert planned(*flags, "--limit", "1")["cost"]["n_trials"] == 1
    limited = planned(*flags, "--limit", "2", "--budget-gpu-hours", "9")
    assert limited["cost"]["n_trials"] == 2
    assert limited["budget"]["n_proposals"] == 1


@pytest.mark.parametrize(("hours", "fit"), [("0.041", 0), ("0.065", 1), ("0.1", 2)])
def test_a_budget_is_counted_in_proposals(flags, hours, fit):
    budget = planned(*flags, "--budget-gpu-hours", hours)["budget"]
    assert budget["spent_gpu_hours"] == pytest.approx(0.04)
    assert (budget["n_proposals"], budget["n_proposals_that_fit"]) == (2, fit)
    shown = command(SEARCH, *flags, "--budget-gpu-hours", hours)
    assert f"has spent 0.04 slot-hours; {fit} of the 2 proposals that are left should fit" in shown.output


def test_a_probe_is_of_the_space_and_only_where_nothing_is_on_record(flags, tmp_path, monkeypatch):
    probed = []

    def probe_arms(pending, placement, console) -> pd.DataFrame:
        probed.append([trial.arm.name for trial in pending])
        rows = [{"arm": trial.arm.name, "task": "reconstruction", "work": 1e9, "seconds": 7.0} for trial in pending]
        return pd.DataFrame(rows)

    monkeypatch.setattr("foresight.tuning.search_plan.probe_arms", probe_arms)
    assert "finished trials of this run log" in planned(*flags, "--probe")["cost"]["basis"]
    assert probed == []
    plan = planned(*flags, "--probe", "--runs", str(tmp_path / "elsewhere"))
    assert "by a short probe" in plan["cost"]["basis"]
    assert probed == [["baseline", *(dimension.field for dimension in small_search.space("tiny").dimensions)]]
    refused = command(SEARCH, *flags[:-1], "--probe")
    assert (refused.exit_code, "--probe belongs to --plan" in refused.output) == (2, True)
