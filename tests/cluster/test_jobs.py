"""`ray job submit` for real: a head by the documented command, a driver that is killed, one that is stopped, one that ends."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import job_study
import pandas as pd
import psutil
import pytest
import yaml
from cluster_files import CLUSTER
from local_head import ENDED, TOKEN, LocalHead, quoted, until

from foresight.runlog import RunLog
from foresight.tuning.sweep_metrics import STATES, exported_names
from foresight.verify import find_faults

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1800)]

# More than end while a job is told to stop, which alone takes seconds.
TRIALS = job_study.SWEEP.space("tiny").trials(4)


@dataclass(frozen=True)
class Story:
    """What happened, in this order: a job whose driver is killed, one that is stopped, one without an upload that ends."""

    head_listens: list[str]  # addresses of everything that listens for the head and the last job
    api: dict[str, Any]
    killed: str  # how the jobs ended
    stopped: str
    stop_s: float  # from the request until the driver's process was gone
    stop_log: str
    left_by_stopped: list[str]
    faults_after_stop: list[str]
    metrics: set[str]  # lines of the node's endpoint about the study, while the last job ran
    uploads: list[str | None]  # of the jobs, and of one that only plans
    finished: str
    written: list[dict[str, int]]  # when each row was written: after the kill, the stop, and the end
    rows: pd.DataFrame
    first_log: str
    planned: str
    ray_logs: list[str]  # of Ray's own files, those that hold the token


def written(log: RunLog) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in log.trials_dir.glob("*/trial.parquet")}


def listening(head: LocalHead) -> list[str]:
    found = []
    for process in head.processes():
        try:
            found += [c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
        except psutil.Error:
            continue
    return found


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    runs = tmp_path_factory.mktemp("jobs") / "runs"
    cache = tmp_path_factory.mktemp("cache")
    log = RunLog(runs / "job_study")
    given = yaml.safe_load((CLUSTER / "runtime_env.yaml").read_text())
    given["env_vars"] |= {"FORESIGHT_CACHE": str(cache)}
    with LocalHead(cache) as head:
        upload = quoted("--working-dir", ".", "--runtime-env-json", json.dumps(given))
        entrypoint = quoted("python", "tests/cluster/job_study.py", "--scale", "tiny", "--runs", runs)

        def in_the_middle(name: str, n_rows: int) -> None:
            """Waits until there are that many rows and a trial is in training."""
            until(
                lambda: len(written(log)) >= n_rows and bool(head.working("Trainable.train")), f"{n_rows} rows of {name}"
            )  # fmt: skip

        first = head.submit(upload, entrypoint)
        in_the_middle(first, 1)
        psutil.Process(int(head.job(first)["driver_info"]["pid"])).kill()
        killed = head.ended(first)
        until(
            lambda: not head.working("TrialActor") and not head.working("Trainable.train"), "the killed job's trials end"
        )  # fmt: skip
        after = [written(log)]
        api = {"version": head.get("/api/version"), "jobs": head.get("/api/jobs/")}

        second = head.submit(upload, entrypoint)
        in_the_middle(second, len(after[0]) + 1)
        driver = psutil.Process(int(head.job(second)["driver_info"]["pid"]))
        head.run(f"ray job stop --no-wait {second}")
        asked = time.monotonic()  # not before: the command takes seconds to start
        driver.wait(180)
        stop_s = time.monotonic() - asked
        stopped = head.ended(second)
        until(lambda: not head.working("Trainable.train"), "the workers of a stopped job go")
        left = [str(process) for process in head.working("job_study.py")]
        after.append(written(log))
        faults = list(find_faults(log))

        third = head.submit("", entrypoint)  # the head was started in the repository, as in the image
        until(lambda: bool(head.working("Trainable.train")), "a trial of the last job")
        listens = listening(head)
        lines: set[str] = set()

        def all_shown() -> bool:
            lines.update(line for line in head.shown() if 'study="job_study"' in line)
            return {line.partition("{")[0] for line in lines} >= exported_names()

        until(lambda: all_shown() or head.job(third)["status"] in ENDED, "the sweep's metrics")
        finished = head.ended(third)
        after.append(written(log))

        planned = head.submit("", "python sweeps/p2_ablations.py --plan --json")
        planned_ended = head.ended(planned)
        yield Story(
            head_listens=listens,
            api=api,
            killed=killed,
            stopped=stopped,
            stop_s=stop_s,
            stop_log=head.log(second),
            left_by_stopped=left,
            faults_after_stop=faults,
            metrics=lines,
            uploads=[
                next(iter((head.job(name)["runtime_env"] or {}).keys() & {"working_dir"}), None)
                for name in (first, second, third, planned)
            ],
            finished=finished,
            written=after,
            rows=log.trials(),
            first_log=head.log(first),
            planned=planned_ended + head.log(planned),
            ray_logs=[
                str(path)
                for path in (head.folder / "session_latest" / "logs").rglob("*")
                if path.is_file() and TOKEN.encode() in path.read_bytes()
            ],
        )


def test_a_submitted_script_finds_the_cluster_and_writes_where_runs_says(story):
    assert f"job_study, tiny scale: {len(TRIALS)} of {len(TRIALS)} trials to run" in story.first_log
    assert story.written[0]


def test_the_dashboard_answers(story):
    assert story.api["version"]["ray_version"] == "2.60.0"
    assert [job["status"] for job in story.api["jobs"] if job["type"] == "SUBMISSION"] == ["FAILED"]


def test_nothing_of_the_head_or_the_job_listens_beyond_the_loopback(story):
    assert len(story.head_listens) > 6
    assert {address.removeprefix("::ffff:") for address in story.head_listens} == {"127.0.0.1"}


def test_the_token_is_in_no_log_of_ray(story):
    assert story.ray_logs == []


def test_a_killed_driver_fails_its_job_and_submitting_again_resumes(story):
    assert story.killed == "FAILED"
    assert 0 < len(story.written[0]) < len(TRIALS)
    assert f"{len(TRIALS) - len(story.written[0])} of {len(TRIALS)} trials to run" in story.stop_log


def test_a_stopped_job_ends_by_itself_before_ray_would_kill_it(story):
    assert story.stopped == "STOPPED"
    assert "interrupted; every finished trial is kept" in story.stop_log
    assert story.left_by_stopped == []
    wait_s = int(yaml.safe_load((CLUSTER / "runtime_env.yaml").read_text())["env_vars"]["RAY_JOB_STOP_WAIT_TIME_S"])
    assert story.stop_s < wait_s


def test_a_stopped_job_leaves_a_whole_run_log(story):
    assert story.faults_after_stop == []
    assert len(story.written[0]) < len(story.written[1]) < len(TRIALS)


def test_every_planned_trial_has_exactly_one_record_and_none_ran_twice(story):
    assert story.finished == "SUCCEEDED"
    assert sorted(story.rows["key"]) == sorted(trial.key for trial in TRIALS)
    assert set(story.rows["status"]) == {"complete"}
    assert set(story.rows["attempt"]) == {1}
    for earlier in story.written[:2]:
        assert earlier.items() <= story.written[2].items()


def test_the_node_shows_the_metrics_of_the_sweep_by_the_names_that_the_dashboard_draws(story):
    assert {line.partition("{")[0] for line in story.metrics} == exported_names()
    states = {re.search(r'state="(\w+)"', line)[1] for line in story.metrics if "ray_foresight_trials{" in line}
    assert states == set(STATES)


def test_the_best_objective_on_show_is_a_validation_value(story):
    shown = [float(line.rpartition(" ")[2]) for line in story.metrics if "ray_foresight_best_objective{" in line]
    assert shown
    assert all(story.rows["val/mask_iou"].sub(value).abs().min() < 1e-9 for value in shown)


def test_where_the_working_directory_is_the_repository_nothing_is_uploaded(story):
    assert story.uploads == ["working_dir", "working_dir", None, None]
    assert story.planned.startswith("SUCCEEDED"), story.planned
    assert '"study": "p2_ablations"' in story.planned
