"""A real study, run log and features in an object store: its machine is lost, another goes on, a third one analyses."""

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

sys.path.append(str(Path(__file__).parents[1] / "tuning"))

import small_study
from driver import Ended, Study

from foresight.runlog import RunLog
from foresight.storage.copies import ROW
from foresight.storage.objects import ObjectFiles

pytestmark = [pytest.mark.ray, pytest.mark.timeout(3000)]

TRIALS = {trial.key for trial in small_study.SWEEP.space("tiny").trials(4)}
BLOCKS = ("--seeds", "4")  # more trials than can end while the store is looked through
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Story:
    """What was in the store when the first machine was lost, and when the second one was done."""

    url: str
    first: dict[str, bytes]
    resumed: Ended
    last: dict[str, bytes]
    out: Path


def rows(store: ObjectFiles) -> dict[str, bytes]:
    return {name: store.read(name) for name in store.walk("") if name.endswith(f"/{ROW}")}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, s3) -> Story:
    folder, query = tmp_path_factory.mktemp("store"), f"endpoint_override={s3[0]}&scheme=http"
    url = f"s3://bucket/story-{os.getpid()}?{query}"
    log_url = f"s3://bucket/story-{os.getpid()}/small_study?{query}"
    seed = RunLog(folder / "seed", log_url)
    for arm in small_study.SWEEP.space("tiny").arms():  # other tests measure latency; here it would only take time
        seed.write_latency(arm.config.arm_key, {"arm": arm.name, "latency_ms": 1.0})
    study = Study("small_study.py", folder / "here", f"s3://bucket/cache-{os.getpid()}?{query}")
    store = ObjectFiles(log_url)
    with pytest.MonkeyPatch.context() as machine:
        machine.setenv("FORESIGHT_LOCAL", str(folder / "first"))
        running = study.start("--runs", url, *BLOCKS)
        running.wait_until(lambda: len(rows(store)) >= 2, "two trials in the store", timeout_s=400)
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
        for process in study.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        study.left_behind()
        first = rows(store)
        machine.setenv("FORESIGHT_LOCAL", str(folder / "second"))
        resumed = study.start("--runs", url, *BLOCKS).wait(timeout_s=400)
    return Story(url, first, resumed, rows(store), folder)


def command(story: Story, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A command on a third machine, whose copies are empty at first."""
    return subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        env=os.environ | {"FORESIGHT_LOCAL": str(story.out / "third"), "MPLCONFIGDIR": str(story.out)},
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip


def study_url(story: Story) -> str:
    front, _, query = story.url.partition("?")
    return f"{front}/small_study?{query}"


def test_another_machine_goes_on_where_the_first_one_was_lost(story):
    assert story.resumed.code == 0, story.resumed.err
    assert 2 <= len(story.first) < len(TRIALS)
    assert f"{len(TRIALS) - len(story.first)} of {len(TRIALS)} trials to run" in story.resumed.out
    assert {name.split("/")[1] for name in story.last} == TRIALS
    assert {name: story.last[name] for name in story.first} == story.first  # none of them ran twice


def test_the_other_machine_reads_the_features_that_the_first_one_has_computed(story):
    assert "computed" not in story.resumed.out
    assert list((story.out / "second").glob("*cache*/*/meta.json"))


def test_its_last_word_is_a_command_that_reads_the_store(story):
    assert f"python -m analysis small_study --runs '{story.url}'" in story.resumed.out


def test_the_run_log_is_whole_and_its_status_is_read_from_a_third_machine(story):
    verified = command(story, "foresight.verify", study_url(story))
    assert (verified.returncode, verified.stderr) == (0, "")
    assert f"whole; {len(TRIALS)} recorded and {len(TRIALS)} planned trials" in verified.stdout
    status = command(story, "foresight.tuning.status", study_url(story))
    assert f"{len(TRIALS)} of {len(TRIALS)} trials complete, 0 failed, 0 left" in status.stdout
    assert "driver: none is running" in status.stdout


def test_the_analysis_reads_the_store(story):
    analysed = command(story, "analysis", "small_study", "--runs", story.url, "--out", story.out / "results")
    assert analysed.returncode == 0, analysed.stderr
    assert (story.out / "results" / "small_study" / "report.html").is_file()


def test_no_key_is_in_what_was_written_or_printed(story):
    secret = os.environ["AWS_SECRET_ACCESS_KEY"].encode()
    written = [path.read_bytes() for path in story.out.rglob("*") if path.is_file() and path.stat().st_size < 10**6]
    assert len(written) > len(TRIALS)
    assert not [content for content in written if secret in content]
