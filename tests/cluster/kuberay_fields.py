"""The fields of KubeRay's custom resources, and of Kubernetes, that the files in cluster/kubernetes use.

Of ray.io/v1 as of KubeRay 1.6. A field that is not here is refused: KubeRay would drop it without a word.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Quantity = Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)?(m|Ki|Mi|Gi|Ti)?$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Metadata(Strict):
    name: Name


class SecurityContext(Strict):
    runAsUser: int | None = None
    runAsGroup: int | None = None
    runAsNonRoot: bool | None = None
    allowPrivilegeEscalation: bool | None = None


class Variable(Strict):
    name: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")]
    value: str


class Port(Strict):
    name: Name
    containerPort: Annotated[int, Field(ge=1, le=65535)]


class Resources(Strict):
    requests: dict[Literal["cpu", "memory", "nvidia.com/gpu"], Quantity | int]
    limits: dict[Literal["cpu", "memory", "nvidia.com/gpu"], Quantity | int]


class VolumeMount(Strict):
    name: Name
    mountPath: Annotated[str, StringConstraints(pattern=r"^/")]


class Container(Strict):
    name: Name
    image: str
    command: list[str] | None = None
    securityContext: SecurityContext
    ports: list[Port] = []
    env: list[Variable] = []
    resources: Resources | None = None
    volumeMounts: list[VolumeMount]


class Claim(Strict):
    claimName: Name


class Volume(Strict):
    name: Name
    persistentVolumeClaim: Claim


class Toleration(Strict):
    key: str
    operator: Literal["Exists", "Equal"]
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class PodSpec(Strict):
    restartPolicy: Literal["Never"]  # Ray's autoscaler of version 2 counts on a pod being one node
    automountServiceAccountToken: bool = True
    securityContext: SecurityContext | None = None
    nodeSelector: dict[str, str] = {}
    tolerations: list[Toleration] = []
    initContainers: list[Container] = []
    containers: list[Container]
    volumes: list[Volume]

    @model_validator(mode="after")
    def mounts_are_volumes(self) -> "PodSpec":
        mounted = {mount.name for c in (*self.initContainers, *self.containers) for mount in c.volumeMounts}
        if mounted != {volume.name for volume in self.volumes}:
            raise ValueError(f"mounted {mounted}, which are not the volumes")
        return self


class PodTemplate(Strict):
    spec: PodSpec


class HeadGroup(Strict):
    serviceType: Literal["ClusterIP"]
    rayStartParams: dict[str, str]
    template: PodTemplate


class WorkerGroup(Strict):
    groupName: Name
    replicas: Annotated[int, Field(ge=0)]
    minReplicas: Annotated[int, Field(ge=0)]
    maxReplicas: Annotated[int, Field(ge=0)]
    rayStartParams: dict[str, str]
    template: PodTemplate

    @model_validator(mode="after")
    def replicas_are_in_order(self) -> "WorkerGroup":
        if not self.minReplicas <= self.replicas <= self.maxReplicas:
            raise ValueError("replicas lie between minReplicas and maxReplicas")
        return self


class AuthOptions(Strict):
    mode: Literal["token"]
    secretName: Name


class AutoscalerOptions(Strict):
    version: Literal["v1", "v2"]
    idleTimeoutSeconds: Annotated[int, Field(ge=0)]


class RayClusterSpec(Strict):
    rayVersion: str
    authOptions: AuthOptions
    enableInTreeAutoscaling: bool
    autoscalerOptions: AutoscalerOptions
    headGroupSpec: HeadGroup
    workerGroupSpecs: list[WorkerGroup]


class RayCluster(Strict):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayCluster"]
    metadata: Metadata
    spec: RayClusterSpec


class RayJobSpec(Strict):
    entrypoint: str
    shutdownAfterJobFinishes: bool
    ttlSecondsAfterFinished: Annotated[int, Field(ge=0)]
    activeDeadlineSeconds: Annotated[int, Field(gt=0)]
    backoffLimit: Annotated[int, Field(ge=0)]
    rayClusterSpec: RayClusterSpec


class RayJob(Strict):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: Metadata
    spec: RayJobSpec


class VolumeSpec(Strict):
    capacity: dict[Literal["storage"], Quantity]
    accessModes: list[Literal["ReadWriteMany"]]
    persistentVolumeReclaimPolicy: Literal["Retain"]
    storageClassName: Literal[""]
    mountOptions: list[str]
    nfs: dict[Literal["server", "path"], str]


class PersistentVolume(Strict):
    apiVersion: Literal["v1"]
    kind: Literal["PersistentVolume"]
    metadata: Metadata
    spec: VolumeSpec


class ClaimSpec(Strict):
    accessModes: list[Literal["ReadWriteMany"]]
    storageClassName: Literal[""]
    volumeName: Name
    resources: dict[Literal["requests"], dict[Literal["storage"], Quantity]]


class PersistentVolumeClaim(Strict):
    apiVersion: Literal["v1"]
    kind: Literal["PersistentVolumeClaim"]
    metadata: Metadata
    spec: ClaimSpec


class Pod(Strict):
    apiVersion: Literal["v1"]
    kind: Literal["Pod"]
    metadata: Metadata
    spec: PodSpec


KINDS: dict[str, type[Strict]] = {
    model.__name__: model for model in (RayCluster, RayJob, PersistentVolume, PersistentVolumeClaim, Pod)
}


def read(document: dict[str, Any]) -> Any:
    """A document as its kind. Raises ValidationError for a field that the kind does not have."""
    return KINDS[document["kind"]].model_validate(document)
