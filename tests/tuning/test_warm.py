"""The command that fills the feature cache, in this process: what it plans, what it refuses, and that it fills."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import faulty_study
import pytest
import small_study
from played_ray import PlayedRay
from typer.testing import CliRunner, Result

from foresight.features.requests import missing_requests
from foresight.features.store import ArrayStore
from foresight.tuning.sweep import Sweep
from foresight.tuning.warm import build_app
from search_spaces import p2_ablations

P2 = Sweep("p2_ablations", "?", p2_ablations.space, p2_ablations.CLAIM)
DECIDED = Sweep(
    "decided_study",
    "?",
    lambda scale: small_study.space(scale),
    small_study.CLAIM,
    needs=(small_study.SWEEP,),
    choose=lambda space, results: space,
)
SWEEPS = {sweep.name: sweep for sweep in (small_study.SWEEP, faulty_study.SWEEP, P2, DECIDED)}


@pytest.fixture
def ray(monkeypatch) -> PlayedRay:
    played = PlayedRay()
    monkeypatch.setattr("foresight.tuning.ray_runtime.start_ray", lambda slots: played)
    monkeypatch.setattr("foresight.tuning.ray_runtime.signal.signal", lambda *a: None)
    return played


@pytest.fixture
def command(tmp_path: Path, monkeypatch, ray) -> Callable[..., Result]:
    monkeypatch.setenv("FORESIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FORESIGHT_CHECKPOINTS", raising=False)
    monkeypatch.setattr("foresight.tuning.warm.cluster_gpus", lambda: 0.0)

    def run(*arguments: str, scale: str = "tiny") -> Result:
        flags = ["--scale", scale, "--runs", str(tmp_path / "runs")]
        return CliRunner().invoke(build_app(sorted(SWEEPS), SWEEPS.__getitem__), [*arguments, *flags])

    return run


def refusal(result: Result, ray: PlayedRay) -> str:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert ray.processes == []
    return result.stderr


def test_it_fills_what_the_studies_read_and_then_has_nothing_to_do(command, ray, tmp_path):
    result = command("small_study", "faulty_study")
    assert result.exit_code == 0, result.output
    configs = [t.config for s in (small_study.SWEEP, faulty_study.SWEEP) for t in s.space("tiny").trials(2)]
    assert missing_requests(configs, ArrayStore(tmp_path / "cache")) == []
    assert "4 entries are cached, 0.5 MB in" in result.stdout  # images, VLM, and DINOv2 L and B
    assert ray.is_shut_down
    assert not (tmp_path / "runs").exists()

    n_processes, ray.is_shut_down = len(ray.processes), False
    assert command("small_study").exit_code == 0
    assert len(ray.processes) == n_processes
    assert not ray.is_shut_down  # it was not even started


def test_a_corrupt_entry_is_computed_again(command, tmp_path):
    command("small_study")
    (path,) = (tmp_path / "cache").glob("dinov2-*/test.npy")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    result = command("small_study")
    assert result.exit_code == 0
    assert "computing it again" in result.stderr
    assert path.read_bytes() == whole


def test_the_plan_of_the_real_encoders_adds_up(command, ray):
    result = command("p2_ablations", "--plan", "--json", scale="full")
    assert result.exit_code == 0, result.output
    plan = json.loads(result.stdout)
    assert (plan["studies"], plan["scale"], plan["data"]["name"]) == (["p2_ablations"], "full", "shapes")
    kinds = [entry["kind"] for entry in plan["entries"]]
    assert sorted(kinds) == ["dinov2"] * 3 + ["images"] + ["vlm"] * 3
    assert {entry["n_images"] for entry in plan["entries"]} == {11_000}
    assert not any(entry["cached"] or entry["n_images_done"] for entry in plan["entries"])
    # One layer of the 7B for 10,000 images is 4.59 GB, DINOv2 L 5.24 GB.
    assert {e["bytes"] for e in plan["entries"] if e["kind"] == "vlm"} == {11_000 * 448 * 1024}
    assert 11_000 * 512 * 1024 in {e["bytes"] for e in plan["entries"] if e["kind"] == "dinov2"}
    assert plan["bytes"] == sum(entry["bytes"] for entry in plan["entries"])
    joined_at_once = sorted(entry["bytes"] for entry in plan["entries"])[-(os.cpu_count() or 1) :]
    assert plan["bytes_needed"] == plan["bytes"] + sum(joined_at_once)
    (vlm,) = (p for p in plan["passes"] if p["label"].startswith("VLM"))
    assert len(vlm["entries"]) == 3  # three layers, one pass
    assert 12 < vlm["pflop"] < 16
    total = sum(p["pflop_left"] for p in plan["passes"])
    assert plan["cost"]["gpu_hours"] == pytest.approx(total * 1e15 / (0.4 * 312e12) / 3600)
    assert plan["cost"]["usd"] == pytest.approx(2 * plan["cost"]["gpu_hours"])
    assert ray.processes == []


def test_the_plan_for_people_says_what_is_there_and_what_it_takes(command):
    before = command("small_study", "--plan")
    for text in ("3 entries", "0 cached", "to compute: VLM features, layers final", "disk: up to", "estimate: seconds"):
        assert text in before.stdout
    command("small_study")
    after = command("small_study", "--plan")
    assert "3 cached" in after.stdout
    assert "nothing to compute" in after.stdout
    full = command("p2_ablations", "--plan", scale="full").stdout
    assert "VLM features, layers final, 8, 14, 14.08 PFLOP" in full
    assert "GPU-hours, $0.10 at $2.00" in full


def test_features_of_needed_studies_are_filled_as_well_and_undecided_ones_are_said(command):
    result = command("decided_study", "--plan")
    assert "decided_study depends on results that are not complete" in result.stdout
    assert json.loads(command("small_study", "--plan", "--json").stdout)["bytes"] > 0


def test_an_unknown_study_is_refused_with_the_nearest(command, ray):
    message = refusal(command("small_study", "p2_ablation", "--plan"), ray)
    assert "no study 'p2_ablation' (did you mean 'p2_ablations'?)" in message
    assert "small_study" in message


def test_json_without_plan_and_a_folder_without_its_data_are_refused(command, ray, tmp_path):
    assert "--json belongs to --plan" in refusal(command("small_study", "--json"), ray)
    assert "does not read --coco-root here" in refusal(command("small_study", "--coco-root", str(tmp_path)), ray)


def test_a_full_disk_is_refused(command, ray, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=2**20))
    assert "the feature cache needs 0.2" in refusal(command("small_study"), ray)


def test_a_damaged_checkpoint_is_refused(command, ray, tmp_path, monkeypatch):
    (tmp_path / "no-vlm").mkdir()
    monkeypatch.setenv("FORESIGHT_CHECKPOINTS", str(tmp_path))
    (tmp_path / "vit_large_patch14_dinov2.no_tag.safetensors").write_text("<html>")
    assert "download it again" in refusal(command("small_study", scale="full"), ray)


def test_a_disk_that_fills_up_ends_with_code_1_and_a_sentence(command, ray, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    result = command("small_study")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: the feature cache cannot be written to")
    assert result.stderr.count("\n") == 1
    assert ray.is_shut_down


def test_an_interrupt_ends_with_130_and_says_what_is_kept(command, ray, monkeypatch):
    def interrupted(references, timeout):
        raise KeyboardInterrupt

    monkeypatch.setattr(ray, "wait", interrupted)
    result = command("small_study")
    assert result.exit_code == 130
    assert "interrupted; every finished part is kept, and the same command goes on here" in result.stdout
    assert ray.is_shut_down
    assert set(ray.killed) == set(ray.processes)
