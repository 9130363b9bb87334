"""Cautions about trials that do not say by which definition, or with which LPIPS trunk, they were measured."""

from odd_logs import ODD
from study_writer import METRIC_IDS

SAID = {"env/metric_ids": METRIC_IDS, "env/lpips_trunk": "random seed 0"}


def test_trials_that_name_their_definitions(cautions):
    assert not {"no_definition", "no_trunk"} & set(cautions(SAID))


def test_some_trials_that_name_no_definition(cautions):
    text = cautions({"env/metric_ids": None})["no_definition"]
    assert text.startswith("2 complete trials of 6 without the definition of what they measured (env/metric_ids)")
    assert "mask IoU" in text


def test_no_trial_that_names_one(cautions):
    text = cautions({"env/metric_ids": None}, everywhere=True)["no_definition"]
    assert text.startswith("6 complete trials of 6 without the definition")


def test_one_metric_that_is_missing_among_the_definitions(cautions):
    others = " ".join(identity for identity in METRIC_IDS.split() if not identity.startswith("ssim/"))
    text = cautions({"env/metric_ids": others})["no_definition"]
    assert "nothing shows that SSIM of theirs is that of others: " in text
    assert "2 complete trials of 6" in text


def test_lpips_without_its_trunk(cautions):
    text = cautions({"env/lpips_trunk": None})["no_trunk"]
    assert text.startswith("2 complete trials of 6 with LPIPS (random trunk) and without its trunk (env/lpips_trunk)")
    unmeasured = {"env/lpips_trunk": None, "test/lpips_random_trunk": None}
    assert "no_trunk" not in cautions(unmeasured)


def test_imported_numbers_come_without(cautions):
    def change(trial, row):
        lacking = dict.fromkeys(SAID) | {"provenance": "imported"}
        return row | lacking if trial.arm.name == ODD else row

    assert not {"no_definition", "no_trunk"} & set(cautions(change_row=change))
