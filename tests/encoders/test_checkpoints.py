import json
import os
import time

import numpy as np
import pytest
import safetensors.numpy
from huggingface_hub import HfApi

from foresight.encoders.checkpoints import (
    LTX_FILES,
    LTX_PARTS_WITH_WEIGHTS,
    check_checkpoint,
    check_ltx_checkpoint,
    local_checkpoint,
    weights_fingerprint,
)
from foresight.errors import RequestError

NAME = "acme/no-such-model"
CACHE = "huggingface_hub.utils._cache_manager.HF_HUB_CACHE"


@pytest.fixture(autouse=True)
def checkpoints(tmp_path, monkeypatch):
    """An empty folder of checkpoints and an empty Hugging Face cache."""
    root = tmp_path / "checkpoints"
    root.mkdir()
    monkeypatch.setenv("FORESIGHT_CHECKPOINTS", str(root))
    monkeypatch.setattr(CACHE, str(tmp_path / "hub"))
    return root


@pytest.fixture
def asked(monkeypatch):
    """The questions put to the hub, which answers that it has everything."""
    questions = []
    monkeypatch.setattr(HfApi, "model_info", lambda self, repo, timeout: questions.append((repo, timeout)))
    return questions


def refusal(name: str = NAME) -> str:
    with pytest.raises(RequestError) as caught:
        check_checkpoint(name)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_random_weights_need_no_hub(asked):
    check_checkpoint("random")
    assert not asked


def write_weights(path) -> None:
    safetensors.numpy.save_file({"weight": np.zeros(100, dtype=np.float32)}, path)


def write_folder(root):
    """A folder as the hub gives it, in two files."""
    folder = root / "no-such-model"
    folder.mkdir()
    for name in ("1.safetensors", "2.safetensors"):
        write_weights(folder / name)
    (folder / "config.json").write_text('{"model_type": "acme"}')
    weight_map = '{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}'
    (folder / "model.safetensors.index.json").write_text(weight_map)
    return folder


@pytest.mark.parametrize("entry", ["no-such-model", "no-such-model.safetensors"])
def test_a_local_checkpoint_needs_no_hub(checkpoints, asked, entry):
    if entry.endswith(".safetensors"):
        write_weights(checkpoints / entry)
    else:
        write_folder(checkpoints)
    check_checkpoint(NAME)
    assert not asked


@pytest.mark.parametrize("n_bytes", [0, 4, 100])
def test_a_file_that_is_no_checkpoint_or_was_cut_off_is_found_by_its_header(checkpoints, asked, n_bytes):
    path = checkpoints / "no-such-model.safetensors"
    write_weights(path)
    path.write_bytes(path.read_bytes()[:n_bytes])
    assert f"the checkpoint file '{path}' cannot be read (" in refusal()
    path.write_text("<html>404</html>")
    assert "download it again" in refusal()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "config.json").unlink(), "config.json' cannot be read"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json' cannot be read"),
        (lambda folder: (folder / "config.json").write_text("[]"), "config.json' cannot be read"),
        (lambda folder: (folder / "2.safetensors").write_bytes(b"x"), "2.safetensors' cannot be read"),
        (
            lambda folder: (folder / "2.safetensors").unlink(),
            "1 files that it names are not there, such as 2.safetensors",
        ),
        (lambda folder: [path.unlink() for path in folder.glob("*.safetensors")], "has no .safetensors file"),
    ],
)
def test_a_damaged_folder_is_refused_with_the_file_that_is_wrong(checkpoints, asked, damage, said):
    damage(write_folder(checkpoints))
    assert said in refusal()


def test_a_cached_checkpoint_needs_no_hub(tmp_path, asked):
    snapshot = tmp_path / "hub" / "models--acme--no-such-model" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    check_checkpoint(NAME)
    assert not asked
    check_checkpoint("acme/another")
    assert [repo for repo, _ in asked] == ["acme/another"]


def test_the_hub_is_asked_under_its_own_names_and_not_for_long(asked):
    check_checkpoint(NAME)
    check_checkpoint("vit_large_patch14_dinov2.lvd142m")
    assert [repo for repo, _ in asked] == [NAME, "timm/vit_large_patch14_dinov2.lvd142m"]
    assert all(timeout <= 5 for _, timeout in asked)


def test_an_offline_machine_is_told_what_to_do(checkpoints, monkeypatch):
    def offline(self, repo, timeout):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(HfApi, "model_info", offline)
    sentence = refusal()
    assert f"hf download {NAME}" in sentence
    assert "FORESIGHT_CHECKPOINTS" in sentence


def test_a_hub_that_cannot_be_reached_is_a_wrong_request_within_seconds(monkeypatch):
    # Nobody listens on the discard port, so this is the network library's own error, without a network.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    started = time.monotonic()
    assert f"'{NAME}'" in refusal()
    assert time.monotonic() - started < 5


def test_a_name_that_no_hub_could_have_is_a_wrong_request():
    assert "not a valid name!" in refusal("not a valid name!")


def test_a_local_checkpoint_is_found_by_the_last_part_of_its_name(checkpoints, monkeypatch):
    (checkpoints / "folder").mkdir()
    (checkpoints / "vit.lvd142m.safetensors").write_bytes(b"x")
    assert local_checkpoint("org/folder") == checkpoints / "folder"
    assert local_checkpoint("vit.lvd142m") == checkpoints / "vit.lvd142m.safetensors"
    assert local_checkpoint("vit") is None
    monkeypatch.delenv("FORESIGHT_CHECKPOINTS")
    assert local_checkpoint("org/folder") is None


def test_weights_without_a_local_file_are_known_by_name():
    assert weights_fingerprint("random") == "random"
    assert weights_fingerprint(NAME) == NAME


def test_the_fingerprint_of_a_file_answers_to_its_start_its_end_and_its_length(checkpoints):
    path, size = checkpoints / "no-such-model.safetensors", 3 * 2**20
    contents = [bytes(size), b"a" + bytes(size - 1), bytes(size - 1) + b"a", bytes(size + 1)]
    fingerprints = []
    for second, content in enumerate(contents):
        path.write_bytes(content)
        os.utime(path, (second, second))  # real files are not rewritten within a tick of the clock
        fingerprints.append(weights_fingerprint(NAME))
    path.write_bytes(contents[0])
    assert weights_fingerprint(NAME) == fingerprints[0]
    assert len(set(fingerprints)) == len(contents)


def test_the_fingerprint_of_a_folder_answers_to_every_shard_and_not_to_its_place(checkpoints, tmp_path, monkeypatch):
    def write(root, second):
        (root / "no-such-model").mkdir(parents=True, exist_ok=True)
        for shard, content in enumerate((b"first", second), start=1):
            (root / "no-such-model" / f"model-{shard}.safetensors").write_bytes(content)

    write(checkpoints, b"second")
    here = weights_fingerprint(NAME)
    write(checkpoints, b"changed")
    assert weights_fingerprint(NAME) != here
    write(tmp_path / "elsewhere", b"second")
    monkeypatch.setenv("FORESIGHT_CHECKPOINTS", str(tmp_path / "elsewhere"))
    assert weights_fingerprint(NAME) == here


def write_ltx(root, caption_channels: int = 4096):
    folder = root / "no-such-model"
    for part, file in LTX_FILES.items():
        (folder / part).mkdir(parents=True)
        (folder / part / file).write_text(json.dumps({"caption_channels": caption_channels}))
    for part in LTX_PARTS_WITH_WEIGHTS:
        safetensors.numpy.save_file({"weight": np.ones(100)}, folder / part / "diffusion_pytorch_model.safetensors")
    return folder


def test_a_local_ltx_video_of_the_right_layout_and_width_is_taken(checkpoints, asked):
    write_ltx(checkpoints)
    check_ltx_checkpoint(NAME, 4096)
    assert not asked


def test_a_local_ltx_video_that_reads_other_tokens_is_refused(checkpoints):
    write_ltx(checkpoints, 2048)
    with pytest.raises(RequestError, match="reads tokens of 2048 channels, not 4096"):
        check_ltx_checkpoint(NAME, 4096)


def test_a_local_folder_that_is_no_ltx_video_is_refused(checkpoints):
    (write_ltx(checkpoints) / "vae" / "config.json").unlink()
    with pytest.raises(RequestError, match=r"it has no vae/config\.json"):
        check_ltx_checkpoint(NAME, 4096)


@pytest.mark.parametrize("part", LTX_PARTS_WITH_WEIGHTS)
def test_weights_of_a_local_ltx_video_that_are_cut_off_or_absent_are_refused(checkpoints, part):
    weights = write_ltx(checkpoints) / part / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(RequestError, match=f"{part}/diffusion_pytorch_model.safetensors' cannot be read"):
        check_ltx_checkpoint(NAME, 4096)
    weights.unlink()
    with pytest.raises(RequestError, match=f"{part}' has no .safetensors file"):
        check_ltx_checkpoint(NAME, 4096)


def test_an_ltx_video_that_is_nowhere_is_refused(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(RequestError, match="no-such-model"):
        check_ltx_checkpoint(NAME, 4096)
