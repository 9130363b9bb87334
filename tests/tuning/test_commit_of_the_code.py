"""Which commit a row names: of a checkout, of an image, and where neither says it."""

import subprocess

from foresight.tuning import record


def test_a_checkout_is_asked(tmp_path):
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    told = subprocess.run(["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True, check=True)
    commit = record.git_commit(tmp_path)
    assert len(commit) == 12
    assert told.stdout.startswith(commit)


def test_an_image_says_what_it_was_built_from(tmp_path):
    (tmp_path / "COMMIT").write_text("0123456789ab-dirty\n")
    assert record.git_commit(tmp_path) == "0123456789ab-dirty"


def test_uploaded_code_on_a_node_without_git_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert record.git_commit(tmp_path) == "unknown"
