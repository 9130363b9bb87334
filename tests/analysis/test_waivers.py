"""Waivers: what they open, what they never are, and what is refused of them."""

import pytest
from gate_studies import WAIVER, waivers_yaml

import analysis
from analysis.gate import waived_in
from analysis.waivers import known_studies, read_waivers
from foresight.errors import RequestError


def test_a_waived_criterion_opens_the_gate_and_is_never_met(write_full, run_analysis, tmp_path):
    write_full("p2_end_to_end")
    assert run_analysis("p2_end_to_end", "--gate").exit_code == 3
    waivers_yaml(tmp_path, WAIVER)
    result = run_analysis("p2_end_to_end", "--gate")
    assert result.exit_code == 0
    said = (
        "gate open by waiver: Criterion lpips is waived by Ada Lovelace on 2026-11-20: no trunk. lpips was not measured"
    )
    assert said in result.stderr
    assert "gate closed" not in result.stderr
    study = analysis.load(tmp_path / "runs" / "p2_end_to_end", waivers=read_waivers(None, ["p2_end_to_end"]))
    row = study.gate().query("metric == 'lpips'").iloc[0]
    assert (row["verdict"], row["state"], row["waived_by"]) == ("not measured", "waived", "Ada Lovelace")
    assert study.waived()["metric"].tolist() == ["lpips"]
    assert study.verdicts().query("metric == 'lpips'")["verdict"].tolist() == ["not measured"]
    page = (tmp_path / "results" / "p2_end_to_end" / "report.html").read_text()
    assert "Waived criteria" in page
    assert "Ada Lovelace" in page


def test_a_waiver_of_what_is_met_changes_nothing(write_full, tmp_path):
    waivers = read_waivers(waivers_yaml(tmp_path, WAIVER | {"metric": "mask_iou"}), ["p2_end_to_end"])
    gate = analysis.load(write_full("p2_end_to_end"), waivers=waivers).gate()
    assert gate.query("metric == 'mask_iou'")["state"].tolist() == ["met"]
    assert waived_in(gate) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"study": "p2_end_to_ends"}, "unknown study 'p2_end_to_ends' (did you mean 'p2_end_to_end'?)"),
        ({"metric": "lpip"}, "unknown metric 'lpip' (did you mean 'lpips'?)"),
        ({"name": '""'}, "'waivers.0.name' is wrong"),
        ({"reason": '" "'}, "'waivers.0.reason' is wrong"),
        ({"study": "warm_cache"}, "unknown study 'warm_cache'"),
        ({"date": "2999-01-01"}, "on 2999-01-01, which is still to come"),
        ({"date": "soon"}, "'waivers.0.date' is wrong"),
        ({"signed": "yes"}, "'waivers.0.signed' is wrong: extra inputs are not permitted"),
    ],
)
def test_a_wrong_waiver_is_refused(tmp_path, changed, said):
    with pytest.raises(RequestError) as caught:
        read_waivers(waivers_yaml(tmp_path, WAIVER | changed), ["p2_end_to_end", "c2_validation"])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_waiver_without_its_reason_or_twice_is_refused(tmp_path):
    without = {name: value for name, value in WAIVER.items() if name != "reason"}
    with pytest.raises(RequestError, match=r"'waivers.0.reason' is wrong: field required"):
        read_waivers(waivers_yaml(tmp_path, without), ["p2_end_to_end"])
    with pytest.raises(RequestError, match="waives 'lpips' of 'p2_end_to_end' twice"):
        read_waivers(waivers_yaml(tmp_path, WAIVER, WAIVER), ["p2_end_to_end"])


@pytest.mark.parametrize("text", ["", "waivers", "waivers: {", "- a"])
def test_a_file_that_holds_no_waivers_is_refused(tmp_path, text):
    (tmp_path / "waivers.yaml").write_text(text)
    with pytest.raises(RequestError):
        read_waivers(tmp_path / "waivers.yaml", [])


def test_a_waiver_of_no_criterion_is_refused_by_the_command(write_full, run_analysis, tmp_path):
    write_full("p2_end_to_end")
    path = waivers_yaml(tmp_path, WAIVER | {"metric": "lpips_random_trunk"})
    result = run_analysis("p2_end_to_end", "--waivers", str(path))
    assert result.exit_code == 2
    assert (
        "'lpips_random_trunk' of 'p2_end_to_end', which is no criterion of it; it has lpips, mask_iou" in result.stderr
    )
    assert run_analysis("p2_end_to_end", "--waivers", "nowhere.yaml").exit_code == 2


def test_a_waiver_of_no_criterion_is_one_sentence_at_the_gates_too(write_full, run_analysis, tmp_path):
    """The waiver is wrong, and not the study: it must not be told that its run log cannot be read."""
    write_full("p2_end_to_end")
    waivers_yaml(tmp_path, WAIVER | {"metric": "box_iou"})
    result = run_analysis("gates")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    said = "a waiver names 'box_iou' of 'p2_end_to_end', which is no criterion of it (did you mean 'mask_iou'?)"
    assert said in result.stderr
    assert "it has lpips, mask_iou" in result.stderr


def test_scripts_that_are_no_study_cannot_be_waived(tmp_path):
    known = known_studies(tmp_path / "runs")
    assert {"p2_end_to_end", "c2_validation"} <= set(known)
    assert {"warm_cache", "__init__"} & set(known) == set()


@pytest.mark.parametrize("word", ["on", "'on'"])
def test_the_further_set_of_a_waiver_needs_no_quotes(tmp_path, word):
    """To YAML 1.1 the word `on` is `true`, and a field of that name could not be written as documented."""
    path = tmp_path / "waivers.yaml"
    path.write_text(
        f"waivers:\n  - {{study: p2_end_to_end, metric: ssim, {word}: clips, name: Ada, date: 2026-11-20, reason: yes}}\n"
    )
    (waiver,) = read_waivers(path, ["p2_end_to_end"])
    assert (waiver.on, waiver.reason) == ("clips", "yes")
