"""A small study on one GPU that is pretended: Ray counts it, two trials at once share it, and they run on the CPU.

With `--plain` the same trials run one after the other in this process, without Ray, a GPU or anything beside them.
"""

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from dataclasses import replace

from pretended_gpu import PretendedGpu
from rich.console import Console
from small_study import CLAIM, FACTORS, space

from foresight.tuning.ray_runtime import QUIET
from foresight.tuning.study import open_study
from foresight.tuning.sweep import Placement, Sweep

HERE = Path(__file__).resolve().parent
QUERIES = (FACTORS[1],)
SWEEP = Sweep("packed_study", "?", lambda scale: replace(space(scale), factors=QUERIES), CLAIM, seeds=2)


def main() -> int:
    given = argparse.ArgumentParser()
    given.add_argument("--scale")
    given.add_argument("--runs", type=Path)
    given.add_argument("--plain", action="store_true")
    flags = given.parse_args()
    runs = flags.runs.absolute()
    console = Console(width=200)
    if flags.plain:
        study = open_study(SWEEP, "tiny", None, None, Placement(runs, slots=1))
        return max(study.session(console).run_one(trial.key) for trial in study.trials)
    os.environ.update(QUIET | {"PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), str(HERE)])})
    import ray

    ray.init(
        num_cpus=2, num_gpus=1, include_dashboard=False, _node_ip_address="127.0.0.1", log_to_driver=False,
        object_store_memory=256 * 2**20,
    )  # fmt: skip
    gpu = PretendedGpu(runs / "sharing")
    runs.mkdir(exist_ok=True)
    placement = Placement(runs, slots=1, gpus=1.0, pack=2, accelerator=gpu)
    study = open_study(SWEEP, "tiny", None, None, placement)
    study.check()
    return study.session(console).run(study.trials, retry_failed=False)


if __name__ == "__main__":
    sys.exit(main())
