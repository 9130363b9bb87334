"""What Tune is given of a trial: a text to Tune, the planned trial to us, and the same after every copy."""

import copy
import json
import pickle
from types import SimpleNamespace

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.utils.serialization import TuneFunctionEncoder

from foresight.config import TrialConfig
from foresight.space import BASELINE, Arm, Trial
from foresight.tuning.first_come import first_waiting
from foresight.tuning.record import Planned
from foresight.tuning.ticket import tune_config

CONFIG = TrialConfig()
PLANNED = Planned(Trial(Arm(BASELINE, "", "", CONFIG), CONFIG), "study", attempt=2)


def test_a_ticket_is_a_text_to_tune_and_carries_the_planned_trial_through_copies_and_pickles():
    config = tune_config(PLANNED)
    assert config == {"key": CONFIG.key, "planned": CONFIG.key}
    assert copy.deepcopy(config)["planned"] is config["planned"]
    sent = pickle.loads(pickle.dumps(config))["planned"]
    assert sent.planned == PLANNED
    assert len(pickle.dumps(config["planned"])) < 1.1 * len(pickle.dumps(PLANNED)) + 200
    assert json.loads(json.dumps(config, cls=TuneFunctionEncoder)) == {"key": CONFIG.key, "planned": CONFIG.key}


def test_the_trial_that_waits_is_found_among_those_that_live():
    def trial(status):
        return SimpleNamespace(status=status)

    waiting = trial(TuneTrial.PENDING)
    live = {waiting.status: waiting, TuneTrial.RUNNING: trial(TuneTrial.RUNNING)}
    assert first_waiting(SimpleNamespace(get_live_trials=lambda: live.values())) is waiting
    del live[TuneTrial.PENDING]
    assert first_waiting(SimpleNamespace(get_live_trials=lambda: live.values())) is None
