"""The faults. A new kind is a function and a line of FAULTS."""

import random
import re
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import chaos_study
import psutil
from chaos_arena import Arena, Command
from chaos_machines import Cluster, Jobs, Laptop, wait_for
from chaos_room import end_all, titled

NEVER_TORN = ".driver"  # a claim is written to the disk before anything goes on


@dataclass
class Scene:
    """A command that is to be struck, and what was found wrong about it so far."""

    arena: Arena
    machine: Laptop
    rng: random.Random
    command: Command
    watch: Callable[[Command], None]  # waits for a command's end, looking at the run log meanwhile
    broken: list[str] = field(default_factory=list)

    def expect(self, holds: bool, sentence: str) -> None:
        if not holds:
            self.broken.append(sentence)


@dataclass(frozen=True)
class Fault:
    """`strike` says what it hit, or None while there is nothing to hit; `after` follows the end of the struck command."""

    name: str
    strike: Callable[[Scene], str | None]
    phases: tuple[str, ...]
    machine: str = "laptop"
    script: str = "chaos_study.py"
    flags: tuple[str, ...] = ()
    codes: tuple[int, ...] = (0, 1)  # with which the struck command may end
    after: Callable[[Scene], None] | None = None
    needs_disk: bool = False
    goes_on: bool = False  # the struck command ends the study, so nothing is left for a further fault


# --- what dies -------------------------------------------------------------------------------------------------------


def kill_driver(scene: Scene) -> str | None:
    if scene.command.driver is None:
        return None
    scene.command.kill()
    if scene.rng.random() < 0.5:  # else the next command meets what it left behind
        return "driver killed, the next command at once"
    wait_for(lambda: not titled("ray::"), "the workers of a dead driver end")
    return "driver killed"


def kill_one(scene: Scene, *titles: str) -> str | None:
    """One of Ray's workers that are at this."""
    found = [process for title in titles for process in titled(title)]
    if not found:
        return None
    victim = scene.rng.choice(sorted(found, key=lambda process: process.pid))
    try:
        title = " ".join(victim.cmdline())
        victim.send_signal(signal.SIGKILL)
    except psutil.Error:
        return None
    return f"{title} killed"


def kill_trial(scene: Scene) -> str | None:
    return kill_one(scene, "ray::TrialActor", "Trainable.train")


def kill_train_worker(scene: Scene) -> str | None:
    return kill_one(scene, "RayTrainWorker")


def kill_cache_writer(scene: Scene) -> str | None:
    return kill_one(scene, "Extractor", "run_sensitivity")


def kill_measurement(scene: Scene) -> str | None:
    return kill_one(scene, "run_latency")


def kill_raylet(scene: Scene) -> str | None:
    """A node is lost; another one comes."""
    assert isinstance(scene.machine, Cluster)
    raylet = scene.rng.choice(scene.machine.nodes)
    scene.machine.nodes.remove(raylet)
    raylet.kill()
    scene.machine.start_node()
    return "raylet killed, and another node started"


def restart_head(scene: Scene) -> str | None:
    """The job is submitted again at once, while the driver of the lost head may still live."""
    machine, first = scene.machine, scene.command
    assert isinstance(machine, Jobs)
    if first.driver is None:
        return None
    machine.kill_head()
    wait_for(lambda: machine.ask("/api/version") is None, "a killed head is silent")
    machine.start_head()
    second = machine.start()
    scene.watch(second)
    if second.code != 0:
        scene.expect(f"pid {first.driver}," in second.text(), f"submitted again it said\n{second.text()}")
    return f"head killed and started again, the job submitted again ended with {second.code}"


# --- what is torn, full or changed ---------------------------------------------------------------------------------------


def cut_power(scene: Scene) -> str | None:
    """Everything ends at once, and what was not on the disk yet is lost or torn."""
    end_all()
    torn = tear(scene.arena, scene.rng)
    return f"power cut, {torn or 'nothing'} torn"


def tear(arena: Arena, rng: random.Random) -> str:
    """Files that were not flushed have any length, or zeros. A temporary file is one, and the last derived one may be gone."""
    unfinished = [path for path in arena.disk.rglob(".*.tmp") if NEVER_TORN not in path.parts]
    files = [f for path in unfinished for f in ([path] if path.is_file() else path.rglob("*")) if f.is_file()]
    for path in files:
        size = path.stat().st_size
        with path.open("rb+") as file:
            if rng.random() < 0.5:
                file.truncate(rng.randint(0, size))
            else:
                start = rng.randint(0, size)
                file.seek(start)
                file.write(bytes(size - start))
    derived = sorted(arena.log.root.glob("consolidated*.parquet"), key=lambda path: path.stat().st_mtime_ns)
    if derived and rng.random() < 0.5:
        derived[-1].unlink()
        files.append(derived[-1])
    entries = sorted(arena.cache.glob("*/meta.json"), key=lambda path: path.stat().st_mtime_ns)
    if entries and rng.random() < 0.5:  # the rename of an entry is not flushed
        last = entries[-1].parent
        shutil.rmtree(last.with_name(f".{last.name}.tmp"), ignore_errors=True)
        files.append(last.rename(last.with_name(f".{last.name}.tmp")))
    return ", ".join(re.sub(r"[0-9a-f]{32}", "*", path.name) for path in files)


def fill_disk(scene: Scene) -> str | None:
    scene.arena.fill_disk(scene.rng)
    return "disk full"


def free_disk(scene: Scene) -> None:
    """As long as it is full the command says so and starts nothing."""
    if scene.command.code != 0:
        refused = scene.machine.start()
        scene.watch(refused)
        scene.expect(refused.code == 2, f"on a full disk the command ended with {refused.code}")
        scene.expect("GiB free" in refused.text(), "on a full disk the command does not say so")
    scene.arena.free_disk()


def start_second(scene: Scene) -> str | None:
    """Two drivers: one of them runs the study, and the other is refused by its name."""
    first, second = scene.command, scene.machine.start()
    scene.watch(second)
    scene.watch(first)
    for one, other in ((first, second), (second, first)):
        if one.code != 0:
            scene.expect(one.code == 2, f"beside another driver the command ended with {one.code}")
            scene.expect(f"pid {other.driver}," in one.text(), "the refused driver does not name the other one")
    scene.expect(0 in (first.code, second.code), "of two drivers none ran the study")
    return f"two drivers, ended with {first.code} and {second.code}"


def change_claim(scene: Scene) -> None:
    """Another claim is refused and leaves no trace, until it is recorded as an amendment."""
    log, settings = scene.arena.log, {chaos_study.MARGIN: f"{scene.rng.uniform(0.03, 0.3):.3f}"}
    before, declared = _content(log.root), log.read_sweep()
    refused = scene.machine.start(**settings)
    scene.watch(refused)
    if declared is None:  # nothing had been claimed
        scene.arena.settings |= settings
        return
    scene.expect(refused.code == 2 and "belongs to another claim" in refused.text(), "another claim was not refused")
    scene.expect(_content(log.root) == before, "a refused claim left a trace")
    if scene.rng.random() < 0.5:
        return
    amended = scene.machine.start("--amend", "the chaos suite changes its mind", **settings)
    scene.watch(amended)
    scene.expect(amended.code == 0, f"an amendment ended with {amended.code}")
    scene.expect(len((log.read_sweep() or {})["amendments"]) == len(declared["amendments"]) + 1, "no amendment")
    scene.arena.settings |= settings


def change_code(scene: Scene) -> None:
    """Other settings under the names of planned arms are refused; another commit goes on, and each row says which it is of."""
    log = scene.arena.log
    before, declared = _content(log.root), log.read_sweep()
    if declared is not None:
        refused = scene.machine.start(**{chaos_study.EPOCHS: "31"})
        scene.watch(refused)
        scene.expect(refused.code == 2 and "other settings" in refused.text(), "other settings were not refused")
        scene.expect(_content(log.root) == before, "refused settings left a trace")
    scene.arena.set_commit(f"chaos-{scene.rng.randrange(10**6)}")


def _content(root: Path) -> dict[str, bytes]:
    """Every file of a run log but the derived ones."""
    paths = (path for path in root.rglob("*") if path.is_file() and not path.name.startswith("consolidated"))
    return {str(path): path.read_bytes() for path in paths if NEVER_TORN not in path.parts}


ANY = ("start-up", "sensitivity", "features", "trials", "latency", "end")
WORKING = ("sensitivity", "features", "trials", "latency")
KILLED = (-signal.SIGKILL,)

FAULTS = (
    Fault("driver", kill_driver, ANY, codes=KILLED),
    Fault("trial process", kill_trial, ("trials",), goes_on=True),
    Fault("cache writer", kill_cache_writer, ("sensitivity", "features"), goes_on=True),
    Fault("measuring process", kill_measurement, ("latency",)),
    Fault("power cut, torn writes", cut_power, ANY, codes=KILLED),
    Fault("full disk", fill_disk, ANY, codes=(0, 1, 2), after=free_disk, needs_disk=True),
    Fault("two drivers", start_second, ANY, codes=(0, 2), goes_on=True),
    Fault("claim changed", kill_driver, WORKING, codes=KILLED, after=change_claim),
    Fault("code changed", kill_driver, WORKING, codes=KILLED, after=change_code),
    Fault("raylet of a node", kill_raylet, ("features", "trials", "latency"), machine="cluster", goes_on=True),
    Fault("head under a job", restart_head, WORKING, machine="job", codes=(-9, 1, 2, 0)),
    Fault("driver of a job", kill_driver, ANY, machine="job", codes=KILLED),
    Fault("driver of a search", kill_driver, ANY, script="chaos_search.py", codes=KILLED),
    Fault("trial process of a search", kill_trial, ("trials",), script="chaos_search.py", goes_on=True),
)
