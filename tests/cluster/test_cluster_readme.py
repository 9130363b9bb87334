"""cluster/README.md: its commands name what is there."""

import re

import typer
from cluster_files import CLUSTER, README, REPOSITORY

from foresight.tuning.launch import build_app
from foresight.tuning.sweep import Sweep
from search_spaces.p2_ablations import CLAIM, space

BLOCKS = re.findall(r"^```\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
COMMANDS = "\n".join(BLOCKS).replace("\\\n", " ").splitlines()


def test_every_file_that_is_named_is_there_and_every_file_is_named():
    named = set(re.findall(r"cluster/[\w./]+\w", README))
    assert {name for name in named if not (REPOSITORY / name).exists()} == set()
    files = {str(path.relative_to(REPOSITORY)) for path in CLUSTER.rglob("*") if path.is_file()}
    assert files - named == {"cluster/README.md"}


def test_studies_are_called_with_flags_that_they_have():
    command = typer.main.get_command(build_app(Sweep("p2_ablations", "?", space, CLAIM)))
    known = {option for parameter in command.params for option in parameter.opts}
    called = [line.split("sweeps/p2_ablations.py", 1)[1] for line in COMMANDS if "sweeps/p2_ablations.py" in line]
    assert len(called) >= 4
    for flags in called:
        assert set(re.findall(r"(?<!\S)--[a-z-]+", flags)) <= known


def test_a_sweep_on_a_cluster_names_its_scale_and_a_shared_folder():
    """Without GPUs yet a study would choose tiny, and a relative folder would lie on one node alone."""
    for line in COMMANDS:
        if "sweeps/p2_ablations.py" in line:
            assert "--scale" in line
            assert re.search(r"--runs (/|s3://|gs://)\w+", line)


def test_what_is_made_is_unmade():
    text = "\n".join(COMMANDS)
    for made, unmade in (
        ("ray up", "ray down"),
        ("efs create-file-system", "efs delete-file-system"),
        ("efs create-mount-target", "efs delete-mount-target"),
        ("ec2 create-security-group", "ec2 delete-security-group"),
        ("gcloud container clusters create", "gcloud container clusters delete"),
        ("gcloud filestore instances create", "gcloud filestore instances delete"),
        ("gcloud artifacts repositories create", "gcloud artifacts repositories delete"),
    ):
        assert made in text
        assert unmade in text[text.index(made) :]


def test_nothing_is_built_or_run_at_latest():
    assert ":latest" not in README
