"""What is written down holds no secret."""

import json
import sys

import pytest

from foresight.redaction import redact
from foresight.runlog import RunLog
from foresight.tuning.declaration import write_sweep
from foresight.tuning.record import Planned, write_failure
from search_spaces.p2_ablations import CLAIM, space

TOKEN = "s3cr3t-t0ken-of-nobody"


@pytest.fixture
def held(monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", TOKEN)


def test_values_of_secrets_are_replaced_by_their_names(held):
    assert redact(f"401 for {TOKEN}: denied") == "401 for [SOME_API_KEY]: denied"


def test_the_longer_of_two_that_hold_one_another_goes_first(monkeypatch):
    monkeypatch.setenv("A_TOKEN", "abcdefgh")
    monkeypatch.setenv("B_TOKEN", "abcdefghij")
    assert redact("abcdefghij abcdefgh") == "[B_TOKEN] [A_TOKEN]"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("token hf_" + "a1B2" * 8, "token [secret]"),
        ("AKIA" + "ABCD" * 4, "[secret]"),
        ("ghp_" + "a1" * 18, "[secret]"),
        ("https://me:pass@host/x", "https://[secret]@host/x"),
        ("s3://b/x?endpoint_override=me:pass@host:9000", "s3://b/x?endpoint_override=[secret]@host:9000"),
        ("mysql://host/db?user=me&password=pass&x=1", "mysql://host/db?user=me&password=[secret]&x=1"),
        ("the key " + "3f" * 20 + " is not known", "the key [secret] is not known"),
        ("hub/snapshots/" + "3f" * 20 + "/config.json", "hub/snapshots/" + "3f" * 20 + "/config.json"),
        ("https://host/x at 12:30, me@host", "https://host/x at 12:30, me@host"),
        ("hf_hub is a package; KEY concat-s0-0a1b2c3d", "hf_hub is a package; KEY concat-s0-0a1b2c3d"),
    ],
)
def test_well_known_secrets_are_found_by_their_look_and_nothing_else(text, clean):
    assert redact(text) == clean


@pytest.mark.parametrize("name", ["DB_PASS", "DB_PWD", "GIT_CREDENTIALS", "SSH_PASSPHRASE", "db_password"])
def test_other_names_of_secrets_are_known_as_well(monkeypatch, name):
    monkeypatch.setenv(name, "correct-horse")
    assert redact("no correct-horse here") == f"no [{name}] here"


def test_the_folder_one_is_in_is_no_secret(monkeypatch):
    monkeypatch.setenv("PWD", "/home/somebody")
    monkeypatch.setenv("OLDPWD", "/home/nobody")
    assert redact("/home/somebody /home/nobody") == "/home/somebody /home/nobody"


def test_short_values_and_other_variables_are_no_secrets(monkeypatch):
    monkeypatch.setenv("X_TOKEN", "abc")
    monkeypatch.setenv("TOKEN_FILE", "/a/long/path")
    assert redact("abc /a/long/path") == "abc /a/long/path"


def test_the_command_line_of_a_run_log_holds_none(held, monkeypatch, tmp_path):
    class Study:
        name, question, claim = "s", "?", CLAIM

    monkeypatch.setattr(sys, "argv", ["sweeps/s.py", "--coco-root", f"/data/{TOKEN}", "https://u:hidden@host"])
    log = RunLog(tmp_path / "s")
    write_sweep(log, Study(), space("tiny").baseline, {})
    assert json.loads((log.root / "sweep.json").read_text())["command"] == [
        "s.py", "--coco-root", "/data/[SOME_API_KEY]", "https://[secret]@host",
    ]  # fmt: skip


def test_the_message_of_a_failed_trial_holds_none(held, tmp_path):
    log = RunLog(tmp_path / "s")
    trial = space("tiny").trials(1)[0]
    write_failure(log, Planned(trial, "s", 1), f"HTTPError: bad credentials {TOKEN}")
    assert log.read_trial(trial.key)["error"] == "HTTPError: bad credentials [SOME_API_KEY]"
    assert not [path for path in log.root.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
