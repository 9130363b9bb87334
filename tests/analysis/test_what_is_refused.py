"""What makes a comparison impossible is refused: each case is a small run log with one thing wrong."""

import math

import pandas as pd
import pytest
from study_writer import SET_HASHES, SPLITS, space

import analysis
from foresight.errors import RequestError
from foresight.runlog import SCHEMA_VERSION, RunLog
from foresight.space import Factor
from foresight.split_log import split_path, write_split

LAYERS = space((Factor("fusion layers", "fusion.layers", (2, 4, 6)),))
ODD = "fusion.layers=2"


@pytest.fixture
def study(write_study):
    """Writes three arms at two seeds; `change` is added to the rows of one arm, or of all."""

    def write(change=None, everywhere=False, **fields):
        def changed(trial, row):
            return row | (change or {}) if everywhere or trial.arm.name == ODD else row

        return write_study(**{"space": LAYERS, "n_seeds": 2, "change_row": changed} | fields)

    return write


def clips(set_hash: str) -> dict:
    """What a trial says of a further set of two clips."""
    return {"heldout/clips/ssim": 0.7, "heldout/clips/n": 2, "heldout/clips/hash": set_hash}


def refused(path) -> str:
    with pytest.raises(RequestError) as caught:
        analysis.load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_study_itself_is_not(study):
    assert analysis.load(study()).data.unproven == ()


# --- training images among test images -----------------------------------------------------------------------------


@pytest.mark.parametrize(("column", "called"), [("data/train_hash", "training"), ("data/val_hash", "validation")])
def test_a_test_image_among_those_trained_on(study, column, called):
    path = study()
    leaking = write_split(RunLog(path), [*SPLITS["train"][:-1], SPLITS["test"][7]])
    path = study({column: leaking}, everywhere=True)
    message = refused(path)
    assert f"was tested on 1 of its {called} images (for example {SPLITS['test'][7]})" in message


def test_a_leak_of_one_arm_is_one_as_well(study):
    # Its training set is another one, which a factor over the data would allow.
    data = space((Factor("images", "data.n_train", (64, 512)),))
    path = study(space=data)
    leaking = write_split(RunLog(path), [*SPLITS["train"], *SPLITS["test"][:3]])

    def change(trial, row):
        return row | {"data/train_hash": leaking} if trial.arm.name != "baseline" else row

    assert "was tested on 3 of its training images" in refused(study(space=data, change_row=change))


@pytest.mark.parametrize(("split", "called"), [("train", "512 of its training"), ("val", "64 of its validation")])
def test_a_further_set_that_was_trained_on(study, split, called):
    message = refused(study(clips(SET_HASHES[f"data/{split}_hash"]), everywhere=True))
    assert (
        f"was tested on {called} images (for example {split}-0000) as the further set 'clips', so its 'clips'"
        in message
    )


def test_a_further_set_with_one_image_that_was_trained_on(study):
    leaking = write_split(RunLog(study()), ["z", SPLITS["train"][3]])
    message = refused(study(clips(leaking), everywhere=True))
    assert (
        f"was tested on 1 of its training images (for example {SPLITS['train'][3]}) as the further set 'clips'"
        in message
    )


@pytest.mark.parametrize(
    ("column", "what"), [("heldout/clips/hash", " as the further set 'clips'"), ("data/test_hash", "")]
)
def test_a_set_of_one_hash_with_the_training_set_needs_no_images_to_be_known_as_it(study, column, what):
    unkept = clips("0" * 16) | {"data/train_hash": "ab" * 8, column: "ab" * 8}
    message = refused(study(unkept, everywhere=True))
    assert f"was tested on its training images{what}, so" in message


def test_a_further_set_is_proved_unseen_where_its_images_are_kept_and_unproven_where_not(study):
    kept = write_split(RunLog(study()), ["y", "z"])
    assert analysis.load(study(clips(kept), everywhere=True)).data.unproven == ()
    (unproven,) = analysis.load(study(clips("0" * 16), everywhere=True)).data.unproven
    assert (unproven.on, len(unproven.keys)) == ("clips", 6)
    assert unproven.reason == "the hashes of their 'clips' images are not kept"


def test_hashes_that_are_not_those_of_the_set(study):
    path = study()
    file = split_path(path, SET_HASHES["data/train_hash"])
    pd.DataFrame({"sample_hash": SPLITS["train"][:-1]}).to_parquet(file)
    assert f"'{file}' does not hold the images that its name stands for" in refused(path)


def test_samples_of_a_trial_that_name_one_image_in_two_splits(study):
    path = study()
    log = RunLog(path)
    row = log.trials().iloc[0].dropna().to_dict() | {"seed": 0, "attempt": 1}
    samples = pd.DataFrame({"sample_hash": ["a", "b", "b"], "split": ["train", "val", "test"], "mask_iou": [0.5] * 3})
    log.write_trial({name: v for name, v in row.items() if not name.startswith("cost/")}, samples=samples)
    assert "1 images of the split 'test' stand among the training or validation images" in refused(path)


# --- arms that are patchworks ---------------------------------------------------------------------------------------


def of_seed(seed: int, **columns):
    """Changes the configuration of one trial of the odd arm."""
    changed = {f"config/{field.replace('__', '.')}": value for field, value in columns.items()}
    return lambda trial, row: row | changed if (trial.arm.name, trial.seed) == (ODD, seed) else row


def without_plan(path):
    """The same run log, of which the plan names no configuration."""
    manifest = pd.read_parquet(path / "manifest.parquet")
    manifest[[name for name in manifest if not name.startswith("config/")]].to_parquet(path / "manifest.parquet")
    return path


def test_a_trial_of_an_arm_with_another_configuration(study):
    path = study(change_row=of_seed(1, fusion__layers=6))
    keys = {trial.seed: trial.key for trial in LAYERS.trials(2) if trial.arm.name == ODD}
    assert refused(path) == (
        f"trial {keys[1]} of arm '{ODD}' has fusion.layers 6, and trial {keys[0]} of the same arm has 2, so the arm is not one "
        "configuration; analyse them from separate run logs"
    )
    assert refused(without_plan(path)) == refused(path)


def test_the_odd_one_of_several_is_named(study):
    assert "-s0-" in refused(study(n_seeds=4, change_row=of_seed(0, fusion__layers=6))).split(" of arm")[0]


def test_a_field_that_may_be_empty_differs_where_it_is_set(study):
    heads = space((Factor("heads", "fusion.heads", (None, 2)),))

    def change(trial, row):
        return row | {"config/fusion.heads": None} if trial.arm.name != "baseline" and trial.seed == 2 else row

    message = refused(study(space=heads, n_seeds=3, change_row=change))
    assert "of arm 'fusion.heads=2' has fusion.heads empty, and trial" in message
    assert "of the same arm has 2, so" in message


def test_a_field_that_a_trial_does_not_record_does_not_differ(study):
    analysis.load(study(change_row=of_seed(1, fusion__layers=None)))

    def without_any(trial, row):
        return {name: value for name, value in row.items() if trial.seed or not name.startswith("config/")}

    analysis.load(study(change_row=without_any))


def test_a_whole_arm_of_another_configuration_than_planned(study):
    path = study({"config/fusion.layers": 6})
    assert "says fusion.layers 6, and the manifest plans fusion.layers 2 for this key (2 such trials)" in refused(path)
    analysis.load(without_plan(path))


# --- arms that were not measured or trained alike -------------------------------------------------------------------


@pytest.mark.parametrize("column", ["data/train_hash", "data/n_train", "data/val_hash", "data/n_val"])
def test_arms_of_one_seed_that_were_trained_on_other_images(study, column):
    other = {"data/n_train": 99, "data/n_val": 99}.get(column, "0" * 16)
    message = refused(study({column: other}))
    assert "trained alike" in message
    assert f"at seed 0 {column} is" in message


def test_a_factor_over_the_data_may_train_on_other_images(study):
    data = space((Factor("images", "data.n_train", (64, 512)),))
    analysis.load(study({"data/n_train": 64}, space=data))


def test_seeds_may_differ_in_their_training_images(study):
    def change(trial, row):
        return row | {"data/train_hash": f"{trial.seed:016x}"}

    assert len(analysis.load(study(change_row=change)).data.unproven) == 1


@pytest.mark.parametrize("ids", ["mask_iou/v2 ssim/v1", "mask_iou/v2"])
def test_one_metric_by_two_definitions(study, ids):
    def change(trial, row):
        return row | {"env/metric_ids": ids if trial.arm.name == ODD else "mask_iou/v1 ssim/v1"}

    message = refused(study(change_row=change))
    assert "by one definition of a metric, but mask_iou is mask_iou/v1 in 4 trials, mask_iou/v2 in 2 trials" in message


def test_lpips_with_two_trunks(study):
    def change(trial, row):
        return row | {"env/lpips_trunk": f"random seed {int(trial.arm.name == ODD)}"}

    message = refused(study(change_row=change))
    assert "lpips_random_trunk was measured with random seed 0 in 4 trials, random seed 1 in 2 trials" in message


# --- numbers that are none, keys that are two, versions that are not known ------------------------------------------


@pytest.mark.parametrize("column", ["test/psnr", "val/mse", "cost/train_s", "test/latency_ms", "heldout/clips/ssim"])
def test_infinity(study, column):
    message = refused(study({column: math.inf}))
    assert f"{column} = inf" in message


@pytest.mark.parametrize("value", [-0.2, 1.2])
def test_a_metric_of_a_further_set_out_of_its_range(study, value):
    assert "outside the range" in refused(study({"heldout/clips/mask_iou": value}))


def test_a_key_that_stands_twice(study):
    path = study()
    first = sorted((path / "trials").iterdir())[0]
    copy = path / "trials" / "a-copy"
    copy.mkdir()
    (copy / "trial.parquet").write_bytes((first / "trial.parquet").read_bytes())
    message = refused(path)
    assert f"a-copy' holds the row of '{first.name}'" in message


def test_a_key_that_is_planned_twice(study):
    path = study()
    manifest = pd.read_parquet(path / "manifest.parquet")
    pd.concat([manifest, manifest[:1]]).to_parquet(path / "manifest.parquet")
    assert f"plans the key {manifest['key'][0]} more than once" in refused(path)


def test_a_run_log_of_a_later_schema(study):
    later = {"schema_version": SCHEMA_VERSION + 1, "env/git_commit": "04c016c"}
    message = refused(study(later))
    assert f"schema version {SCHEMA_VERSION + 1}" in message
    assert f"reads versions up to {SCHEMA_VERSION}" in message
    assert "(git commit 04c016c)" in message


# --- further sets --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("column", "other"), [("hash", "cd34"), ("n", 7)])
def test_one_name_for_two_further_sets(study, column, other):
    def change(trial, row):
        clips = {"heldout/clips/ssim": 0.7, "heldout/clips/hash": "ab12", "heldout/clips/n": 6}
        odd = {f"heldout/clips/{column}": other} if (trial.arm.name, trial.seed) == (ODD, 1) else {}
        return row | clips | odd

    message = refused(study(change_row=change))
    assert f"on the same further set 'clips', but heldout/clips/{column} is " in message
    assert "in 5 trials" in message


@pytest.mark.parametrize("column", ["hash", "n"])
def test_a_further_set_that_our_own_trial_does_not_name(study, column):
    def change(trial, row):
        clips = {"heldout/clips/ssim": 0.7, "heldout/clips/hash": "ab12", "heldout/clips/n": 6}
        odd = {f"heldout/clips/{column}": None} if (trial.arm.name, trial.seed) == (ODD, 1) else {}
        return row | clips | odd

    message = refused(study(change_row=change))
    assert f"was measured on the further set 'clips' and does not record heldout/clips/{column}" in message
