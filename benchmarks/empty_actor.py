"""The process of trials that do nothing: the real one, but for what a trial is."""

from typing import Any

import pandas as pd

from foresight.train.task import Measurement, TrialResult
from foresight.tuning.trainable import TrialActor


class Nothing(Measurement):
    """In the place of a latency trial, the kind that needs neither data nor training."""

    def assemble(self, shapes: Any) -> Any:
        raise NotImplementedError("an empty trial has no model")

    def count_flops(self, model: Any, one_image: Any) -> float:
        return 0.0

    def run(self) -> TrialResult:
        return TrialResult({}, pd.DataFrame(), {})


class EmptyTrialActor(TrialActor):
    """The real actor, whose trials do nothing."""

    def setup(self, config: dict[str, Any], **kwargs: Any) -> None:
        from foresight.train import trial

        trial.MEASUREMENTS["latency"] = Nothing
        super().setup(config, **kwargs)
