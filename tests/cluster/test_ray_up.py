"""cluster/ray_up: what `ray up` checks before it asks a cloud, by Ray's own functions, and what the sweep needs of it."""

import copy
import re
import subprocess

import jsonschema
import pytest
from cluster_files import CLUSTER, README, REPOSITORY, load_all, makefile_uv, placeholders
from ray.autoscaler._private.util import prepare_config, validate_config

TEMPLATE = CLUSTER / "ray_up" / "aws_a100.yaml"
ENVIRONMENT = CLUSTER / "ray_up" / "environment.sh"
VALUES = {
    "AWS_REGION": "us-east-1",
    "AMI": "ami-0123456789abcdef0",
    "SUBNET": "subnet-0123456789abcdef0",
    "SECURITY_GROUP": "sg-0123456789abcdef0",
    "FILE_SYSTEM": "fs-0123456789abcdef0",
}


@pytest.fixture
def config():
    return load_all(TEMPLATE, VALUES)[0]


@pytest.fixture
def prepared(config):
    """As `ray up` has it after its own defaults were filled in."""
    return prepare_config(copy.deepcopy(config))


def test_ray_accepts_it(prepared):
    validate_config(prepared)


@pytest.mark.parametrize("mistake", [{"idle_timeout": 5}, {"head_node_type": "a100s"}, {"max_workers": "two"}])
def test_ray_refuses_a_mistake_in_it(config, mistake):
    with pytest.raises((jsonschema.ValidationError, ValueError)):
        validate_config(prepare_config(config | mistake))


def test_the_readme_fills_in_every_placeholder():
    assert placeholders(TEMPLATE) == set(VALUES)
    given = re.search(r"envsubst '([^']*)' < cluster/ray_up/aws_a100.yaml", README)
    assert given
    assert {name.removeprefix("$") for name in given[1].split()} == set(VALUES)
    assert all(f"export {name}=" in README for name in VALUES)


def test_the_head_has_no_gpu_and_workers_come_from_none_as_spot_machines(prepared):
    head, workers = (prepared["available_node_types"][name] for name in ("head", "a100"))
    assert "GPU" not in head["resources"]
    assert head["max_workers"] == 0
    assert (workers["min_workers"], workers["max_workers"]) == (0, prepared["max_workers"])
    assert workers["resources"]["GPU"] == 8  # of a p4d.24xlarge
    assert workers["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert prepared["idle_timeout_minutes"] >= 10


def test_nothing_is_left_to_pay_for(prepared):
    assert prepared["provider"]["cache_stopped_nodes"] is False
    for node in prepared["available_node_types"].values():
        assert all(disk["Ebs"]["DeleteOnTermination"] for disk in node["node_config"]["BlockDeviceMappings"])


def test_the_way_in_is_ssh_and_a_token(prepared):
    starts = [*prepared["head_start_ray_commands"], *prepared["worker_start_ray_commands"]]
    assert all(command.startswith("source ~/foresight/environment.sh;") for command in starts)
    assert "export RAY_AUTH_MODE=token" in ENVIRONMENT.read_text()
    assert prepared["file_mounts"]["/home/ubuntu/.ray/auth_token"] == "~/.ray/auth_token"
    (head,) = [command for command in starts if "--head" in command]
    assert "--dashboard-host=127.0.0.1" in head
    assert "0.0.0.0" not in TEMPLATE.read_text()
    # With groups of its own Ray adds no rule, so it does not open port 22 to everyone.
    assert all(node["node_config"]["SecurityGroupIds"] for node in prepared["available_node_types"].values())


def test_files_that_travel_are_there_and_small(prepared):
    local = [REPOSITORY / path for path in prepared["file_mounts"].values() if not path.startswith("~")]
    assert len(local) == 2
    assert all(path.is_file() and path.stat().st_size < 100_000 for path in local)


def test_every_node_gets_the_locked_environment(prepared):
    for commands in (prepared["head_setup_commands"], prepared["worker_setup_commands"]):
        text = "\n".join(commands)
        assert "--requirement ~/foresight/requirements.lock" in text
        assert f"astral.sh/uv/{makefile_uv()}/" in text
    boto = re.search(r"boto3==[\d.]+", "\n".join(prepared["head_setup_commands"]))
    assert boto
    assert boto[0] in README  # the machine that calls `ray up` needs the same


def test_the_shared_folder_is_mounted_with_locks_and_without_a_memory(prepared):
    (mount,) = [command for command in prepared["initialization_commands"] if "mount -t nfs4" in command]
    options = set(re.search(r"-o (\S+)", mount)[1].split(","))
    assert {"nfsvers=4.1", "hard", "lookupcache=positive", "acdirmin=0", "acdirmax=0"} <= options
    assert f"{VALUES['FILE_SYSTEM']}.efs.{VALUES['AWS_REGION']}.amazonaws.com:/ /shared" in mount


@pytest.mark.parametrize("part", ["initialization", "setup", "head_setup", "head_start_ray", "worker_start_ray"])
def test_every_command_is_shell(prepared, part):
    for command in prepared[f"{part}_commands"]:
        subprocess.run(["bash", "-n", "-c", command], check=True)


def test_the_environment_file_is_shell_and_says_where_the_caches_are():
    subprocess.run(["bash", "-n", ENVIRONMENT], check=True)
    for name in ("FORESIGHT_CACHE", "HF_HOME", "TORCH_HOME"):
        assert f"export {name}=/shared/" in ENVIRONMENT.read_text()
