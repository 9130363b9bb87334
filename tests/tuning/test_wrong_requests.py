"""Every wrong request to the command of a study is refused in one sentence, before anything is started."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import small_study
from command_line import FOLDERS, SWEEP, refusal, with_factors

from foresight.claim import Claim
from foresight.config import TrainConfig, TrialConfig
from foresight.data.clip_folder import ClipFile, ClipFolder
from foresight.runlog import RunLog
from foresight.space import Factor, SearchSpace
from foresight.tuning.sweep import resolve_space
from search_spaces import c2_architectures

OTHER = replace(SWEEP.claim, margin=0.5)

pytestmark = pytest.mark.usefixtures("nothing_starts")


@pytest.mark.parametrize("flags", [(), ("--plan",), ("--plan", "--json")])
@pytest.mark.parametrize(
    ("factors", "said"),
    [
        ([Factor("layers", "fusion.layer", (1, 2))], "'fusion.layer' (did you mean 'fusion.layers'?)"),
        ([Factor("layers", "fusion.layers", (1, "2"))], "factor 'layers': 'fusion.layers' cannot be '2'"),
        ([Factor("heads", "fusion.heads", (None, 5))], "factor 'heads': impossible combination"),
        ([Factor("layers", "fusion.layers", ())], "factor 'layers' has no levels"),
        ([Factor("a", "fusion.layers", (1, 2)), Factor("b", "fusion.layers", (1, 4))], "'a' and 'b' both vary"),
        ([Factor("layers", "fusion.layers", (2, 4))], "not among the levels"),
        ([], "at least one factor"),
    ],
)
def test_a_space_that_cannot_be_run_is_refused(command, tmp_path, factors, said, flags):
    assert said in refusal(command(*flags, sweep=with_factors(*factors)))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("flags", [(), ("--plan",), ("--plan", "--json"), ("--one", "query-s0-00000000")])
def test_a_budget_that_an_adapter_cannot_meet_is_refused(command, tmp_path, flags):
    def space(scale: str) -> SearchSpace:
        baseline = c2_architectures.baseline(scale).with_fields({"adapter.budget_params": 50_000})
        return SearchSpace(baseline, (Factor("budget", "adapter.budget_params", (50_000, 2_000)),))

    message = refusal(command(*flags, sweep=replace(SWEEP, space=space)))
    assert "adapter 'query' cannot have 2,000 parameters within 5%" in message
    assert not (tmp_path / "runs").exists()


def test_an_impossible_baseline_is_refused(command):
    def space(scale: str) -> SearchSpace:
        return SearchSpace(TrialConfig(train=TrainConfig(epochs=0)), small_study.FACTORS)

    assert "'epochs' cannot be 0" in refusal(command(sweep=replace(SWEEP, space=space)))


def test_a_claim_about_an_unknown_metric_is_refused(command):
    claim = Claim("?", "mask_ious", 0.02, 0.05, 2)
    assert "did you mean 'mask_iou'?" in refusal(command(sweep=replace(SWEEP, claim=claim)))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"study": "other_study"}, "belongs to the study 'other_study', not 'small_study'"),
        ({"claim": OTHER.to_json(), "claim_hash": OTHER.hash}, "belongs to another claim"),
        ({"scale": "full"}, "holds trials with scale full, not tiny"),
        ({"data": {"name": "coco", "fingerprint": "ab"}}, "holds trials with data"),
    ],
)
def test_a_run_directory_of_something_else_is_refused_and_left_alone(command, tmp_path, changed, said):
    ours = {
        "study": "small_study",
        "claim": SWEEP.claim.to_json(),
        "claim_hash": SWEEP.claim.hash,
        "scale": "tiny",
        "data": {"name": "shapes", "fingerprint": ""},
    }
    log = RunLog(tmp_path / "runs" / "small_study")
    log.write_sweep(ours | changed)
    key = SWEEP.space("tiny").trials(1)[0].key
    for flags in ((), ("--one", key), ("--plan",), ("--plan", "--json")):
        message = refusal(command(*flags))
        assert said in message
        assert "use another --runs" in message
    assert log.read_sweep() == ours | changed
    assert [path.name for path in log.root.iterdir()] == ["sweep.json"]


@pytest.mark.parametrize("flags", [(), ("--plan",), ("--amend", "why")])
@pytest.mark.parametrize(
    ("edited", "registered", "said"),
    [
        (OTHER, SWEEP.claim, "(margin 0.02 -> 0.5); put that back"),  # the study's script says what it was
        (SWEEP.claim, OTHER, f"it hashes to {SWEEP.claim.hash}, and {OTHER.hash} was registered; put it back"),
    ],
)
def test_a_claim_edited_by_hand_is_to_be_put_back(command, tmp_path, flags, edited, registered, said):
    log = RunLog(tmp_path / "runs" / "small_study")
    log.write_sweep({"study": "small_study", "claim": edited.to_json(), "claim_hash": registered.hash})
    log.write_manifest([{"key": "x", "arm": "baseline", "factor": "", "level": "", "seed": 0}])
    before = log.read_sweep()
    message = refusal(command(*flags))
    assert "the claim in sweep.json was edited by hand" in message
    assert said in message
    assert "nothing to amend" not in message
    assert log.read_sweep() == before


def test_a_coco_folder_without_annotations_is_refused(command, tmp_path):
    (tmp_path / "coco" / "val2017").mkdir(parents=True)
    message = refusal(command("--data", "coco", "--coco-root", tmp_path / "coco"))
    assert "has no annotation file: expected annotations/instances_val2017.json" in message


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_nothing_reads_is_refused(command, tmp_path, name):
    for flags in ((), ("--data", "scenes"), ("--plan",)):
        message = refusal(command(f"--{name}-root", tmp_path, *flags))
        assert f"'small_study' does not read --{name}-root here; add --data {name} or leave it out" in message
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", FOLDERS)
def test_data_of_a_folder_without_one_is_refused(command, name):
    assert f"--{name}-root DIR" in refusal(command("--data", name))


def test_data_on_which_the_primary_metric_does_not_exist_is_neither_planned_nor_run(command, tmp_path, monkeypatch):
    monkeypatch.setattr("foresight.data.ssv2.read_folder", lambda root, seed: clip_folder())
    flags = ("--data", "ssv2", "--ssv2-root", tmp_path)
    for plan in ((), ("--plan",)):
        assert "'ssv2' has no masks, so 'mask_iou', the claim's primary metric" in refusal(command(*flags, *plan))
    on_pictures = replace(SWEEP, claim=replace(SWEEP.claim, primary="ssim"))
    assert "no planned trial" in refusal(command(*flags, "--one", "nonsense", sweep=on_pictures))


def clip_folder() -> ClipFolder:
    clips = [ClipFile(str(number), "scene", ()) for number in range(30)]
    return ClipFolder("clips", Path("/nowhere"), "ab" * 8, {"train": clips, "val": clips[:4], "test": clips[:8]})


def test_clips_are_planned_as_clips_for_as_many_steps(command):
    plan = json.loads(command("--plan", "--json", "--data", "clips").stdout)
    assert (plan["data"]["name"], plan["data"]["n_frames"], plan["data"]["n_test"]) == ("clips", 9, 8)
    space = resolve_space(SWEEP, "tiny", "clips", {})
    assert (space.baseline.data.n_train, space.baseline.train.epochs) == (1, 4)  # 2 x 16 pictures, 4 x 9 frames
    assert "4 validation and 8 test clips of 9 frames" in command("--plan", "--data", "clips").stdout


def test_json_without_plan_is_refused(command):
    assert "--json belongs to --plan" in refusal(command("--json"))


@pytest.mark.parametrize("flags", [("--seeds", "0"), ("--limit", "0"), ("--scale", "huge"), ("--lr", "0.1")])
def test_a_flag_that_is_not_one_ends_with_the_same_code(command, flags):
    result = command(*flags)
    assert result.exit_code == 2
    assert flags[0] in result.stderr
    assert "Traceback" not in result.output


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network, and nothing ever downloaded."""
    import huggingface_hub

    def unreachable(*arguments, **keywords):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    monkeypatch.setattr(huggingface_hub, "scan_cache_dir", lambda: SimpleNamespace(repos=[]))


def test_a_missing_checkpoint_is_refused_at_full_scale(command, offline):
    message = refusal(command(scale="full"))
    assert "checkpoint 'nobody/no-vlm'" in message or "checkpoint 'timm/vit_large_patch14_dinov2.no_tag'" in message
    assert "hf download" in message


def test_a_missing_lpips_trunk_is_refused(command, monkeypatch):
    monkeypatch.setenv("FORESIGHT_LPIPS_TRUNK", "/nowhere/alexnet.pth")
    assert "'/nowhere/alexnet.pth', which is not a file" in refusal(command())


@pytest.mark.parametrize("junk", [b"", b"<html>404</html>", b"PK\x03\x04 cut off", bytes(range(256)) * 20])
def test_an_lpips_trunk_that_is_none_is_refused(command, tmp_path, monkeypatch, junk):
    (tmp_path / "alexnet.pth").write_bytes(junk)
    monkeypatch.setenv("FORESIGHT_LPIPS_TRUNK", str(tmp_path / "alexnet.pth"))
    assert "alexnet.pth' does not hold torchvision's AlexNet: " in refusal(command())


def test_a_damaged_checkpoint_is_refused(command, tmp_path, monkeypatch):
    monkeypatch.setenv("FORESIGHT_CHECKPOINTS", str(tmp_path / "checkpoints"))
    (tmp_path / "checkpoints" / "no-vlm").mkdir(parents=True)
    (tmp_path / "checkpoints" / "vit_large_patch14_dinov2.no_tag.safetensors").write_bytes(b"")
    assert "download it again" in refusal(command(scale="full"))


@pytest.mark.parametrize(("full", "purpose"), [("runs", "the run log"), ("cache", "the feature cache")])
def test_a_full_disk_is_refused(command, tmp_path, monkeypatch, full, purpose):
    def disk_usage(path):
        is_full = not Path(path).is_relative_to(tmp_path / "cache") if full == "runs" else "cache" in str(path)
        return SimpleNamespace(free=2**20 if is_full else 2**50)

    (tmp_path / "cache").mkdir()
    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    message = refusal(command())
    assert f"{purpose} needs 0.2" in message
    assert "its disk has 0.00 GiB free" in message


def test_a_run_directory_below_a_file_is_refused(command, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    assert "is not a writable directory" in refusal(command(runs=tmp_path / "file" / "runs"))


def test_a_run_directory_that_may_not_be_written_is_refused(command, tmp_path, monkeypatch):
    genuine = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: genuine(path, mode) and not mode & os.W_OK)
    message = refusal(command())
    assert f"the run log cannot be written to {tmp_path / 'runs' / 'small_study'}" in message
    assert not (tmp_path / "runs").exists()


def test_an_unknown_key_is_refused_with_the_nearest(command):
    key = SWEEP.space("tiny").trials(1)[0].key
    message = refusal(command("--one", key[:-1]))
    assert f"no planned trial '{key[:-1]}' (did you mean '{key}'?)" in message


def test_a_key_of_a_seed_that_is_not_planned_is_refused(command):
    last = SWEEP.space("tiny").trials(3)[-1].key
    assert f"no planned trial '{last}'" in refusal(command("--one", last))
