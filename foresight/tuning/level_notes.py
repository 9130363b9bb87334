"""What the levels of a factor stand for, where their names do not say it all."""

from foresight.config import TrialConfig
from foresight.encoders.shapes import feature_shapes, layer_note, size_note
from foresight.space import Factor


def level_notes(factor: Factor, baseline: TrialConfig) -> dict[str, str]:
    """What each level stands for, where a toy model maps it to something else: {'14': 'layer 2 of 4'}."""
    notes: dict[str, str] = {}
    for level in factor.levels:
        config = baseline.with_fields(factor.changes(level))
        if factor.field == "vlm.layer":
            notes[str(level)] = layer_note(config.vlm)
        elif factor.field == "dinov2.layer":
            notes[str(level)] = layer_note(config.dinov2)
        elif factor.field == "dinov2.size":
            notes[str(level)] = size_note(config.dinov2)
        elif factor.field in ("adapter.architecture", "adapter.budget_params"):
            from foresight.models.budget import adapter_note  # counts on modules, so it needs torch

            shapes = feature_shapes(config)
            notes[str(level)] = adapter_note(config.adapter, shapes, config.scale)
        further = ", ".join(f"{name} {value}" for name, value in factor.with_level.get(level, {}).items())
        if further:
            notes[str(level)] = f"{notes[str(level)]}; {further}" if str(level) in notes else further
    return notes
