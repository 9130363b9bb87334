"""Cautions about further sets: arms that are no better there than a predictor that ignores its input."""

from odd_logs import ODD

CLIPS = {"heldout/clips/n": 6, "heldout/clips/hash": "ab12"}


def on_clips(mine: dict[str, float], trivial: dict[str, float]) -> dict[str, object]:
    values = {f"heldout/clips/{metric}": value for metric, value in mine.items()}
    return CLIPS | values | {f"heldout/clips/baseline/mean_image/{metric}": value for metric, value in trivial.items()}


def low_in_one_arm(metric: str, low: float, others: float, trivial: float):
    def change(trial, row):
        mine = low if trial.arm.name == ODD else others
        return row | on_clips({metric: mine}, {metric: trivial})

    return change


def test_an_arm_below_a_trivial_predictor_on_a_further_set(cautions):
    text = cautions(change_row=low_in_one_arm("mask_iou", 0.21, 0.5, 0.25))["trivial"]
    told = "On the further set clips, no better than the trivial predictor mean_image (mask IoU 0.250)"
    assert text == f"{told}: {ODD} (0.210)."


def test_where_lower_is_better(cautions):
    change = low_in_one_arm("mse", 0.05, 0.02, 0.04)
    assert f"mean_image (MSE 0.0400): {ODD} (0.0500)." in cautions(change_row=change)["trivial"]


def test_every_arm_above_it(cautions):
    assert "trivial" not in cautions(change_row=low_in_one_arm("mask_iou", 0.3, 0.5, 0.25))


def test_metrics_that_the_claim_does_not_name_count_where_it_names_none_of_the_set(cautions):
    # A blurred mean picture often has the better PSNR, which is no matter where the claim is about masks.
    both = on_clips({"mask_iou": 0.5, "psnr": 12.0}, {"mask_iou": 0.2, "psnr": 13.0})
    assert "trivial" not in cautions(both, everywhere=True)
    unmasked = on_clips({"psnr": 12.0}, {"psnr": 13.0})
    assert "mean_image (PSNR 13.00)" in cautions(unmasked, everywhere=True)["trivial"]


def test_a_clip_need_not_stand_as_still_as_a_picture(cautions):
    still = on_clips({"temporal_lpips_variance": 0.01}, {"temporal_lpips_variance": 0.0})
    assert "trivial" not in cautions(still, everywhere=True)
