"""Published numbers: from a CSV to a run log, and what the same analysis says of it."""

from pathlib import Path

import pytest
from study_writer import StudyWriter, space
from typer.testing import CliRunner, Result

import analysis
from analysis.__main__ import app
from analysis.efficiency import describe_efficiency
from analysis.gate import closed_by
from analysis.results_file import build_results
from foresight.runlog import RunLog
from foresight.space import Factor

PUBLISHED = """arm, lpips, mask_iou, params, n_test
baseline, 0.34633945, 0.4332714, 76184576,
10M, 0.28920964, 0.5806866, 8109952, 300
2.5M, 0.3, , ,
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Imports a table as `published`; further words are flags."""
    monkeypatch.chdir(tmp_path)

    def run(table: str, *flags: str) -> Result:
        (tmp_path / "numbers.csv").write_text(table)
        words = ["import", "numbers.csv", "--study", "published", *flags]
        return CliRunner().invoke(app, words, catch_exceptions=False)

    return run


def test_numbers_become_a_run_log_of_imported_trials(command, tmp_path):
    result = command(PUBLISHED, "--reference", "baseline")
    assert result.exit_code == 0, result.output
    assert "3 trials imported; next: python -m analysis published --runs runs" in result.stdout
    trials = RunLog(tmp_path / "runs" / "published").trials().set_index("arm")
    assert set(trials["provenance"]) == {"imported"}
    assert trials.loc["10M", ["test/lpips", "cost/params_trained", "data/n_test"]].tolist() == [
        0.28920964,
        8109952,
        300,
    ]
    assert trials.loc["2.5M", ["test/mask_iou", "cost/params_trained", "data/n_test"]].isna().all()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("arm,lpips\na,0.3\nb,0.2,0.1\n", "has 3 cells in line 3 and 2 columns in its header"),
        ("arm,lpips\na,b,0.3\n", "put a cell that has a comma in it between double quotes"),
        ("arm;lpips\na;0.3\n", "is separated by semicolons or tabs; write it with commas"),
        ("lpips,seed\n0.3,0\n", "has no column 'arm', which names what each row is about; it has lpips, seed"),
        ("arms,lpips\na,0.3\n", "has an unknown column 'arms' (did you mean 'arm'?)"),
        ("arm,params\na,10\n", "has no column with a metric's name, such as lpips or mask_iou; it has arm, params"),
        ("arm,lpips\n", "has a header (arm, lpips) and no row under it"),
    ],
)
def test_a_table_of_another_shape_is_told_what_is_wrong_with_it(command, table, said):
    result = command(table)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert said in result.stderr


def test_what_is_lacking_is_said_and_not_assumed(command, tmp_path):
    command(PUBLISHED, "--reference", "baseline")
    study = analysis.load(tmp_path / "runs" / "published")
    assert study.data.n_test is None
    table = study.table().query("role == 'primary'").set_index("arm")
    assert table["mean"].tolist() == [0.34633945, 0.28920964, 0.3]
    assert table[["low", "high", "difference", "p"]].isna().all(axis=None)
    assert table["n_test"].fillna(0).tolist() == [0, 300, 0]
    arms = study.verdicts().query("kind == 'arm'").set_index("name")
    assert set(arms["verdict"]) == {"no verdict (0 of 3 seeds)"}
    assert "it is unknown whether it was scored on the baseline's test images" in arms.loc["10M", "sentence"]
    said = " ".join(caution.text for caution in study.cautions() if caution.kind == "lacking")
    for text in (
        "unknown on which test images baseline, 10M, 2.5M were scored",
        "unknown on how many test images baseline, 2.5M were scored",
        "One value alone is known where baseline, 10M, 2.5M were measured",
        "unknown how many parameters were trained where 2.5M was measured",
        "what stands as seed 0 is no seed",
        "No value of a single test image was imported",
    ):
        assert text in said


def test_a_published_ratio_is_recomputed_from_its_parts(command, tmp_path):
    command(PUBLISHED, "--reference", "baseline")
    rows = analysis.load(tmp_path / "runs" / "published").param_efficiency().query("basis == 'claim'").set_index("arm")
    assert rows.loc["10M", "efficiency"] == pytest.approx(1.16495322, abs=1e-7)  # the study's headline
    assert "is above 1 although the reference is the larger" in rows.loc["10M", "warnings"]


def test_what_nobody_here_counted_or_paired_is_not_said_to_be(command, tmp_path):
    command(PUBLISHED.replace("0.5806866, 8109952", "0.5806866, "), "--reference", "baseline")
    frame = analysis.load(tmp_path / "runs" / "published").param_efficiency()
    said = " ".join(describe_efficiency(frame))
    assert "of values published without a seed, and so not paired: 1 is parity" in said
    assert "Parameters are as they were published, and nobody here counted them." in said
    warnings = frame.set_index("arm").loc["10M", "warnings"]
    assert (
        "Efficiency 1.165 is above 1 and the size of 10M is not known: if the reference is the larger, it may"
        in warnings
    )


def test_the_command_analyses_it_and_its_gate_stays_closed(command, tmp_path):
    command(PUBLISHED)
    result = CliRunner().invoke(app, ["published", "--gate"], catch_exceptions=False)
    assert result.exit_code == 3
    assert "1 trial of the judged arm was imported, not run by this system: such numbers open no gate" in result.stderr
    page = (tmp_path / "results" / "published" / "report.html").read_text()
    assert "an unknown number of test images" in page
    assert "None test images" not in page
    assert ">nan<" not in page


def test_published_numbers_are_held_against_the_claim_of_a_study(command, tmp_path):
    few = space((Factor("layers", "fusion.layers", (2, 4)),))
    StudyWriter(tmp_path / "runs" / "p2_end_to_end", space=few).write()
    seeds = "arm,seed,mask_iou\n" + "".join(f"baseline,{seed},0.6{seed + 3}\n" for seed in range(5))
    assert command(seeds, "--claim-of", "p2_end_to_end").exit_code == 0
    study = analysis.load(tmp_path / "runs" / "published")
    criteria = study.verdicts().query("kind == 'criterion'").set_index("metric")
    assert criteria["verdict"].to_dict() == {"mask_iou": "met", "lpips": "not measured"}
    assert "(5 seeds, an unknown number of test images; target 0.7)" in criteria.loc["mask_iou", "sentence"]
    assert any("imported" in sentence for sentence in closed_by(study.gate()))
    results = build_results(study)
    assert (results.assessment.success_criteria_met, results.recommendation) == (None, "investigate")
    assert results.executed_by == "imported from numbers.csv"


def test_the_same_file_again_changes_nothing_and_another_one_is_refused(command, tmp_path):
    command(PUBLISHED)
    path = tmp_path / "runs" / "published"
    before = {p: p.read_bytes() for p in path.rglob("*.parquet")}
    (path / "trials" / sorted(RunLog(path).statuses())[0] / "trial.parquet").unlink()  # as if it had been cut short
    assert command(PUBLISHED).exit_code == 0
    assert {p: p.read_bytes() for p in path.rglob("*.parquet") if not p.name.startswith("consolidated")} == {
        p: content for p, content in before.items() if not p.name.startswith("consolidated")
    }
    refused = command(PUBLISHED.replace("0.3,", "0.4,"))
    assert refused.exit_code == 2
    assert "already holds other trials or another claim; choose another --study" in refused.stderr


@pytest.mark.parametrize(
    ("table", "flags", "said"),
    [
        ("arm,lpip\na,0.1\n", (), "unknown column 'lpip' (did you mean 'lpips'?)"),
        ("arm,param_efficiency\na,1.1\n", (), "unknown column 'param_efficiency'"),  # recomputed, never taken over
        ("name,lpips\na,0.1\n", (), "unknown column 'name'"),
        ("arm,lpips\na,-0.1\n", (), "line 2 (a): 'lpips' must be a number in [0, 2]"),
        ("arm,lpips\na,good\n", (), "got 'good'"),
        ("arm,lpips,seed\na,0.1,1.5\n", (), "'seed' must be a whole number of 0 to"),
        ("arm,lpips,params\na,0.1,0\n", (), "'params' must be a whole number of 1 to"),
        ("arm,lpips\na,0.1\na,0.2\n", (), "line 3 (a): arm 'a' stands twice at seed 0"),
        ("arm,lpips\na,0.1\n", ("--primary", "ssim"), "has no column 'ssim', the claim's primary metric"),
        ("arm,lpips\na,0.1\n", ("--primary", "ssimm"), "unknown metric 'ssimm' (did you mean 'ssim'?)"),
        ("arm,lpips\na,0.1\n", ("--reference", "b"), "reference 'b' is no arm of the study"),
        ("arm,lpips\na,0.1\n", ("--claim-of", "nobody"), "has no claim to hold the numbers against"),
        ("arm,lpips\na,0.1\n", ("--claim-of", "x", "--primary", "lpips"), "leave out --primary and --reference"),
        ("arm,lpips\na,0.1\n", ("--runs", "numbers.csv"), "cannot be written"),
    ],
)
def test_a_table_that_cannot_be_imported_is_refused_and_leaves_nothing(command, tmp_path, table, flags, said):
    result = command(table, *flags)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_a_table_that_is_not_there_is_refused(command, tmp_path):
    result = CliRunner().invoke(app, ["import", "nowhere.csv", "--study", "published"])
    assert (result.exit_code, result.stderr) == (2, "'nowhere.csv' cannot be read: No such file or directory\n")
