"""cluster/slurm/sweep.sbatch, run with a Slurm that only writes down what it is asked."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cluster_files import CLUSTER
from ray.scripts.symmetric_run import curate_and_validate_ray_start_args

SCRIPT = CLUSTER / "slurm" / "sweep.sbatch"

# Writes a call's arguments and Ray's variables as a line, then does what the step would do.
FAKE_SRUN = """\
import json, os, signal, subprocess, sys, time
seen = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
with open(os.environ["CALLS"], "a") as file:
    file.write(json.dumps({"arguments": sys.argv[1:], "environment": seen}) + chr(10))
if "hostname" in sys.argv:
    print("10.0.0.7 192.168.0.7")
if "symmetric-run" in sys.argv:
    entrypoint = sys.argv[sys.argv.index("--") + 1 :]
    if os.environ["RAY_STARTS"]:
        subprocess.run(entrypoint[:2] + ["touch $0"] + entrypoint[3:4])
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(130))
    with open(os.environ["CALLS"] + ".running", "w") as file:
        file.write(str(os.getpid()))
    time.sleep(float(os.environ["STEP_S"]))
    sys.exit(int(os.environ["STEP_CODE"]))
"""


@pytest.fixture
def job(tmp_path) -> dict[str, str]:
    """The environment of a job's script, with the fake commands in front."""
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "srun").write_text(f"#!{sys.executable}\n{FAKE_SRUN}")
    (commands / "scontrol").write_text('#!/bin/sh\n[ "$1 $2" = "show hostnames" ] && printf "node7\\nnode8\\n"\n')
    (commands / "scancel").write_text(
        '#!/bin/sh\n[ "$*" = "--signal=TERM 1234567" ] && kill "$(cat "$CALLS.running")"\n'
    )
    for path in commands.iterdir():
        path.chmod(0o755)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "activate").write_text("")
    return {
        "PATH": os.pathsep.join([str(commands), str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
        "CALLS": str(tmp_path / "calls"),
        "STEP_S": "0",
        "STEP_CODE": "0",
        "RAY_STARTS": "yes",
        "FORESIGHT_CACHE": "/scratch/cache",
        "SLURM_SUBMIT_DIR": str(tmp_path),
        "SLURM_JOB_ID": "1234567",
        "SLURM_JOB_NODELIST": "node[7-8]",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_CPUS_ON_NODE": "96",
        "SLURM_GPUS_ON_NODE": "8",
    }


STUDY = ["sweeps/p2_ablations.py", "--scale", "full", "--runs", "/scratch/my runs"]


def run(job: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", SCRIPT, *arguments], env=job, capture_output=True, text=True, check=False, timeout=30
    )


def calls(job: dict[str, str]) -> list[dict]:
    path = Path(job["CALLS"])
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_it_is_shell():
    subprocess.run(["bash", "-n", SCRIPT], check=True)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed here")
def test_shellcheck_finds_nothing():
    subprocess.run(["shellcheck", "--severity=warning", SCRIPT], check=True)


def test_ray_starts_on_every_node_and_the_study_on_the_first(job):
    ended = run(job, *STUDY)
    assert ended.returncode == 0, ended.stderr
    address, step, cleaning = calls(job)
    assert address["arguments"] == ["--nodes=1", "--ntasks=1", "--nodelist=node7", "hostname", "--all-ip-addresses"]
    at = step["arguments"].index("ray")
    assert {"--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=96", "--export=ALL"} <= set(step["arguments"][:at])
    ours = step["arguments"][at + 2 :]
    assert ours[:4] == ["--address", "10.0.0.7:20567", "--min-nodes", "2"]
    shell, flag, entrypoint, started, *rest = ours[ours.index("--") + 1 :]
    assert (shell, flag, rest) == ("bash", "-c", STUDY)
    assert entrypoint == 'touch "$0" && exec python "$@"'
    assert started.endswith("/.foresight-1234567.started")
    assert not Path(started).exists()
    assert cleaning["arguments"][-3:] == ["rm", "-rf", "/tmp/foresight-1234567"]


def test_ray_takes_the_arguments(job):
    run(job, *STUDY)
    arguments = calls(job)[1]["arguments"]
    started = curate_and_validate_ray_start_args(
        arguments[arguments.index("symmetric-run") + 1 : arguments.index("--")]
    )
    assert started == [
        "--num-cpus=96",
        "--num-gpus=8",
        "--dashboard-host=127.0.0.1",
        "--dashboard-port=21567",
        "--ray-client-server-port=22567",
    ]


def test_ray_start_has_these_options_for_head_and_workers():
    from ray.scripts.scripts import start

    known = {option for parameter in start.params for option in parameter.opts}
    assert {"--num-cpus", "--num-gpus", "--dashboard-host", "--dashboard-port", "--ray-client-server-port"} <= known


def test_the_study_finds_the_cluster_and_every_node_the_token(job):
    ended = run(job, *STUDY)
    seen = calls(job)[1]["environment"]
    assert seen["RAY_ADDRESS"] == "10.0.0.7:20567"
    assert seen["RAY_AUTH_MODE"] == "token"
    assert seen["RAY_TMPDIR"] == "/tmp/foresight-1234567"
    token = seen["RAY_AUTH_TOKEN"]
    assert len(token) == 64
    assert token not in ended.stdout + ended.stderr
    assert token not in str([call["arguments"] for call in calls(job)])


def test_two_jobs_have_ports_and_tokens_of_their_own(job):
    run(job, *STUDY)
    run(job | {"SLURM_JOB_ID": "1234568"}, *STUDY)
    first, second = (call for call in calls(job) if "symmetric-run" in call["arguments"])
    assert not {a for a in first["arguments"] if "-port=" in a} & {a for a in second["arguments"] if "-port=" in a}
    for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_TMPDIR"):
        assert first["environment"][name] != second["environment"][name]


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_job_ends_as_the_study_does_and_cleans_up(job, code):
    assert run(job | {"STEP_CODE": str(code)}, *STUDY).returncode == code
    assert "rm" in calls(job)[-1]["arguments"]


def test_a_ray_that_did_not_start_is_no_success(job):
    """`ray symmetric-run` itself ends with 0 then."""
    ended = run(job | {"RAY_STARTS": ""}, *STUDY)
    assert ended.returncode == 1
    assert "Ray did not start on all of node[7-8]" in ended.stderr


def test_the_end_of_the_time_reaches_the_study_before_the_clean_up(job):
    process = subprocess.Popen(
        ["bash", SCRIPT, *STUDY], env=job | {"STEP_S": "60"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    running = Path(job["CALLS"] + ".running")
    for _ in range(200):
        if running.exists() and running.read_text():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 130
    assert "rm" in calls(job)[-1]["arguments"]


@pytest.mark.parametrize(
    ("missing", "said"),
    [("FORESIGHT_CACHE", "must name a folder that every node sees"), ("SLURM_GPUS_ON_NODE", "ask for GPUs")],
)
def test_what_is_missing_is_said_before_anything_starts(job, missing, said):
    ended = run({name: value for name, value in job.items() if name != missing}, *STUDY)
    assert ended.returncode != 0
    assert said in ended.stderr
    assert calls(job) == []


def test_without_a_study_it_says_how_to_call_it(job):
    ended = run(job)
    assert (ended.returncode, calls(job)) == (2, [])
    assert "usage: sbatch" in ended.stderr


def test_slurm_is_told_what_the_script_relies_on():
    asked = {line.removeprefix("#SBATCH ").split()[0] for line in SCRIPT.read_text().splitlines() if "#SBATCH " in line}
    assert {"--exclusive", "--ntasks-per-node=1", "--signal=B:TERM@120"} <= asked
