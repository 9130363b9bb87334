"""Faults of which nothing dies alone: a power cut, a full disk, two drivers, another claim, other code."""

import random
import re
import shutil
from pathlib import Path

import chaos_study
from chaos_arena import Arena
from chaos_machines import wait_for
from chaos_room import end_all
from chaos_scene import Scene

NEVER_TORN = ".driver"  # a claim is written to the disk before anything goes on


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
    wait_for(lambda: first.code is not None or second.code is not None, "one of two drivers ends")
    for one, other in ((first, second), (second, first)):
        if one.code not in (None, 0):
            scene.expect(one.code == 2, f"beside another driver the command ended with {one.code}\n{one.text()}")
            scene.expect(f"pid {other.driver}," in one.text(), "the refused driver does not name the other one")
    if second.code == 0:  # the first had just done everything
        scene.watch(first)
        scene.expect(first.code == 0, f"two drivers ran, and the first ended with {first.code}")
    if second.code == 2 or first.code is None:  # the first may have ended meanwhile
        return "two drivers, the second refused"
    scene.command = second
    return "two drivers, the first refused" if first.code else "two drivers, the second after the end of the first"


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
