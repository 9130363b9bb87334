"""E-P2.1, the spatial probe: where can an object's box be read off, layer by layer (protocols, section 6).

The original compared one-object boxes from an attention probe on DINOv2 with three-slot boxes from a linear map of pooled
VLM tokens, on other images, and read a factor of eight. Here one probe, on the same images, reads every source.

Every source is projected to one width before the attention, so two probes differ in that projection alone: at full scale
1.97M parameters for 768 channels (DINOv2 B), 2.10M for 1024, 3.41M for 3584 (the VLM's language model); at tiny scale 28,000
to 31,000.

A toy model has fewer layers than the plan has levels, so at tiny scale only those levels are listed that a layer of their
own stands for: four of the toy language model, two of the toy DINOv2 L.
"""

from foresight.claim import Claim, Criterion
from foresight.config import DataConfig, DINOv2Config, ProbeConfig, TrainConfig, TrialConfig, VLMConfig
from foresight.space import Factor, SearchSpace

DINOV2_LAYERS = {"tiny": ("12", "final"), "full": ("6", "12", "18", "final")}
VLM_LAYERS = {
    "tiny": ("pre_merge", "post_merge", "8", "14", "21", "final"),
    "full": ("pre_merge", "post_merge", "1", "8", "14", "21", "final"),
}


def baseline(scale: str) -> TrialConfig:
    """DINOv2 L, final layer: the original's probe."""
    if scale == "full":
        return TrialConfig(
            task="probe",
            scale="full",
            data=DataConfig(n_train=10_000, n_val=500, n_test=500, image_px=224, target_px=224),
            vlm=VLMConfig(checkpoint="Qwen/Qwen2.5-VL-7B-Instruct"),
            dinov2=DINOv2Config(checkpoint="lvd142m"),
            streams="dinov2",
            probe=ProbeConfig(hidden=512, heads=8),
            train=TrainConfig(epochs=100, batch_size=32, lr=1e-3, weight_decay=0.0),
        )
    return TrialConfig(
        task="probe",
        scale="tiny",
        data=DataConfig(n_train=2048, n_val=64, n_test=200, image_px=112, target_px=32, seed=1),
        streams="dinov2",
        train=TrainConfig(epochs=16, batch_size=32, lr=5e-3, weight_decay=0.0),
    )


def space(scale: str) -> SearchSpace:
    """Every other source, one at a time: sizes and layers of DINOv2, and readings of the VLM in its place."""
    factors = (
        Factor("DINOv2 size", "dinov2.size", ("B", "L", "G")),
        Factor("DINOv2 layer", "dinov2.layer", DINOV2_LAYERS[scale]),
        Factor("VLM layer, in place of DINOv2", "vlm.layer", VLM_LAYERS[scale], instead={"streams": "vlm"}),
    )
    return SearchSpace(baseline(scale), factors)


CLAIM = Claim(
    statement="No layer of the VLM, and no other size or layer of DINOv2, gives an object's box better than DINOv2 L's last.",
    primary="probe_box_iou",
    margin=0.02,
    alpha=0.05,
    seeds=5,
    criteria=(Criterion("probe_box_iou", target=0.75, acceptable=0.65, failure=0.50),),
)
