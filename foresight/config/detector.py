"""The detector of E-P2.1: a DETR head over tokens, and what it is trained with."""

from typing import Literal, Self

from pydantic import Field, model_validator

from foresight.config.part import Part, refuse_unread


class DetectorConfig(Part):
    """Costs decide which query answers for which object, weights what a wrong answer costs (Carion et al. 2020)."""

    # Width and height of a box: a sigmoid ends at the whole picture; softplus and exp (`log`: a log-size) have no end.
    box_encoding: Literal["sigmoid", "softplus", "log"] = "sigmoid"
    # Where a query starts: at a place of a grid, looking nearby and predicting its offset; or nowhere, learned (DETR).
    reference_points: Literal["grid", "learned"] = "grid"
    width: int = Field(64, ge=8)
    heads: int = Field(4, ge=1)
    feedforward: int = Field(128, ge=1)  # hidden channels of a layer's feed-forward
    encoder_layers: int = Field(1, ge=0)
    decoder_layers: int = Field(2, ge=1)
    n_queries: int = Field(20, ge=1)  # detections of an image
    dropout: float = Field(0.0, ge=0, lt=1)
    class_loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    no_object_weight: float = Field(0.1, gt=0)  # of a query without an object, in the cross-entropy
    auxiliary_loss: bool = True  # every decoder layer is supervised, not the last alone
    denoising: bool = False  # true objects at noised places are further queries in training (DN-DETR)
    keep_best: bool = False  # the model measured is that of the epoch with the best validation mAP at IoU 0.5
    class_cost: float = Field(1.0, ge=0)
    l1_cost: float = Field(5.0, ge=0)
    giou_cost: float = Field(2.0, ge=0)
    class_weight: float = Field(1.0, gt=0)
    l1_weight: float = Field(5.0, ge=0)
    giou_weight: float = Field(2.0, ge=0)

    @model_validator(mode="after")
    def check_combination(self) -> Self:
        if self.width % self.heads or self.width % 4:
            raise ValueError(f"width must be a multiple of 4 and of heads, got width {self.width}, heads {self.heads}")
        if not (self.class_cost or self.l1_cost or self.giou_cost):
            raise ValueError(
                "one of class_cost, l1_cost and giou_cost must be above 0, or nothing decides the matching"
            )
        if not (self.l1_weight or self.giou_weight):
            raise ValueError("one of l1_weight and giou_weight must be above 0, or boxes are not trained")
        if self.class_loss == "focal":
            refuse_unread("class_loss 'focal'", self, ("no_object_weight",))
        if self.decoder_layers == 1:
            refuse_unread("a decoder of one layer", self, ("auxiliary_loss",))
        return self
