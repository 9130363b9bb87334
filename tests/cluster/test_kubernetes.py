"""cluster/kubernetes: the fields are those of KubeRay and Kubernetes, and the files fit together."""

import copy
import re

import pytest
from cluster_files import CLUSTER, README, REPOSITORY, load_all, placeholders
from kuberay_fields import read
from pydantic import ValidationError

FOLDER = CLUSTER / "kubernetes"
VALUES = {"IMAGE": "registry.example.com/foresight/sweeps:0123456789ab", "NFS_SERVER": "10.0.0.2"}
DOCUMENTS = {d["kind"]: d for path in sorted(FOLDER.glob("*.yaml")) for d in load_all(path, VALUES)}
CLUSTER_SPEC = read(DOCUMENTS["RayCluster"]).spec
JOB = read(DOCUMENTS["RayJob"]).spec
SPECS = [CLUSTER_SPEC, JOB.rayClusterSpec]


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_every_document_has_the_fields_of_its_kind(kind):
    assert read(DOCUMENTS[kind]).kind == kind


@pytest.mark.parametrize(
    "path", [("spec", "idleTimeoutSeconds"), ("spec", "headGroupSpec", "replicas"), ("spec", "authOptions", "secret")]
)
def test_a_field_that_kuberay_would_drop_is_refused(path):
    document = copy.deepcopy(DOCUMENTS["RayCluster"])
    *above, name = path
    node = document
    for key in above:
        node = node[key]
    node[name] = 1
    with pytest.raises(ValidationError, match=name):
        read(document)


def test_job_and_cluster_are_the_same_machines():
    """Two files, as Kubernetes has no include: only how many GPUs stand by may differ."""
    job, cluster = JOB.rayClusterSpec.model_copy(deep=True), CLUSTER_SPEC.model_copy(deep=True)
    assert [group.replicas for group in cluster.workerGroupSpecs] == [0]  # a job asks for them, by with_gpus
    assert all(
        group.replicas == group.maxReplicas for group in job.workerGroupSpecs
    )  # there when the study counts them
    for group in (*job.workerGroupSpecs, *cluster.workerGroupSpecs):
        group.replicas = 0
    assert job == cluster


@pytest.mark.parametrize("spec", SPECS, ids=["cluster", "job"])
def test_gpus_are_asked_for_once_and_for_workers_alone(spec):
    (worker,) = [container for group in spec.workerGroupSpecs for container in group.template.spec.containers]
    (head,) = spec.headGroupSpec.template.spec.containers
    n_gpus = worker.resources.requests["nvidia.com/gpu"]
    assert n_gpus == worker.resources.limits["nvidia.com/gpu"]
    assert spec.workerGroupSpecs[0].rayStartParams["num-gpus"] == str(n_gpus)
    assert "nvidia.com/gpu" not in head.resources.requests
    assert spec.headGroupSpec.rayStartParams["num-gpus"] == "0"
    for container in (worker, head):
        assert container.resources.requests["memory"] == container.resources.limits["memory"]


@pytest.mark.parametrize("spec", SPECS, ids=["cluster", "job"])
def test_every_pod_shares_the_claimed_folder_and_its_caches(spec):
    templates = [spec.headGroupSpec.template, *(group.template for group in spec.workerGroupSpecs)]
    for pod in (read(DOCUMENTS["Pod"]).spec, *(template.spec for template in templates)):
        assert [volume.persistentVolumeClaim.claimName for volume in pod.volumes] == ["foresight-shared"]
        (container,) = pod.containers
        assert [mount.mountPath for mount in container.volumeMounts] == ["/shared"]
        assert {variable.name: variable.value for variable in container.env} == {
            "FORESIGHT_CACHE": "/shared/cache",
            "HF_HOME": "/shared/huggingface",
            "TORCH_HOME": "/shared/torch",
        }
    assert read(DOCUMENTS["PersistentVolumeClaim"]).metadata.name == "foresight-shared"


def test_the_claim_is_of_the_volume_and_locks_hold():
    claim, volume = read(DOCUMENTS["PersistentVolumeClaim"]).spec, read(DOCUMENTS["PersistentVolume"])
    assert claim.volumeName == volume.metadata.name
    assert claim.resources["requests"] == volume.spec.capacity
    assert {"nfsvers=4.1", "lookupcache=positive", "acdirmin=0", "acdirmax=0"} <= set(volume.spec.mountOptions)


def test_one_image_everywhere_and_it_is_the_one_that_is_built():
    images = re.findall(r"image: (\S+)", "\n".join(path.read_text() for path in FOLDER.glob("*.yaml")))
    assert len(images) == 6
    assert set(images) == {"${IMAGE}"}
    assert "--file cluster/Dockerfile" in README
    assert re.search(r"export IMAGE=\S+:\$\(git describe", README)


def test_nobody_runs_as_root_but_the_one_who_hands_the_folder_over():
    pod = read(DOCUMENTS["Pod"]).spec
    assert [container.securityContext.runAsUser for container in pod.initContainers] == [0]
    assert pod.containers[0].securityContext.runAsNonRoot
    for spec in SPECS:
        for template in (spec.headGroupSpec.template, *(group.template for group in spec.workerGroupSpecs)):
            assert template.spec.securityContext.runAsNonRoot
            assert template.spec.securityContext.runAsUser == 1000


@pytest.mark.parametrize("spec", SPECS, ids=["cluster", "job"])
def test_requests_need_the_token_of_a_secret_that_the_readme_makes(spec):
    assert f"kubectl create secret generic {spec.authOptions.secretName} --from-file=auth_token=" in README
    assert not re.search(r"auth_token:|RAY_AUTH_TOKEN", "\n".join(p.read_text() for p in FOLDER.glob("*.yaml")))


@pytest.mark.parametrize("spec", SPECS, ids=["cluster", "job"])
def test_the_ray_of_the_pods_is_the_one_in_the_image(spec):
    assert f"\nray=={spec.rayVersion}\n" in (REPOSITORY / "requirements.lock").read_text()


def test_the_job_runs_the_study_and_takes_its_cluster_with_it():
    assert JOB.entrypoint == "python sweeps/p2_ablations.py --scale full --runs /shared/runs"
    assert (REPOSITORY / JOB.entrypoint.split()[1]).is_file()
    assert JOB.shutdownAfterJobFinishes
    assert JOB.activeDeadlineSeconds <= 2 * 86400


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.name)
def test_the_readme_fills_in_every_placeholder(path):
    given = re.search(rf"envsubst '([^']*)' < cluster/kubernetes/{path.name} \| kubectl apply -f -", README)
    assert given
    assert {name.removeprefix("$") for name in given[1].split()} == placeholders(path)
    assert all(f"export {name}=" in README for name in placeholders(path))
