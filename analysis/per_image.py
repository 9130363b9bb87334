"""Which images an arm wins and loses against the baseline, image by image and seed by seed.

In: a study and its image pairs. Out: shares won and lost per arm and scene type with PER_IMAGE_COLUMNS, and the images
that an arm changes most with EXTREME_COLUMNS.

This answers whether such trained models would win on other images. It is not the claim about architectures: all images
of one trial share one training, so they are no repeats of it, and every interval here is over seeds.
"""

import math

import pandas as pd

from analysis.kept_pictures import count_kept_images
from analysis.load import StudyData
from analysis.wording import count, decimals_of, interval, metric_phrase, signed
from foresight.compare import Estimate, compute_estimate
from foresight.metrics import METRICS
from foresight.space import BASELINE

PER_IMAGE_COLUMNS = (
    "arm", "scene", "metric", "n_images", "n_seeds", "seeds", "wins", "low", "high", "losses", "losses_low", "losses_high",
    "difference", "difference_low", "difference_high", "keys",
)  # fmt: skip
EXTREME_COLUMNS = (
    "arm", "side", "rank", "sample_hash", "scene", "place", "has_picture", "n_pictured", "metric", "n_images", "n_seeds",
    "seeds", "wins", "losses", "difference", "low", "high", "keys",
)  # fmt: skip
ALL = "all"  # in the place of a scene type
MOST_EXTREME = 3  # images on each side of an arm
MOST_NAMED = 4  # arms in one sentence


def build_per_image(data: StudyData, pairs: pd.DataFrame) -> pd.DataFrame:
    """PER_IMAGE_COLUMNS per arm: all images, then each scene type where there are several.

    `wins` and `losses` are shares of images on which the arm is better and worse than the baseline of the same seed, means
    over seeds with their 95 % t intervals, cut to [0, 1]; what is missing to 1 is equal. `keys` are the arm's trials and the
    baseline's, seed by seed.
    """
    rows = []
    several = pairs["scene"].nunique() > 1
    for arm in [name for name in data.arms if name in set(pairs["arm"])]:
        mine = pairs[pairs["arm"] == arm]
        rows.append(_share_row(data, arm, ALL, mine))
        for scene in sorted(mine["scene"].unique()) if several else []:
            rows.append(_share_row(data, arm, scene, mine[mine["scene"] == scene]))
    return pd.DataFrame(rows, columns=list(PER_IMAGE_COLUMNS))


def build_image_extremes(data: StudyData, pairs: pd.DataFrame) -> pd.DataFrame:
    """EXTREME_COLUMNS: per arm the MOST_EXTREME images with the largest mean gain, and with the largest mean loss.

    Trials keep pictures of their first `n_pictured` test images alone, whatever is on them: `has_picture` says of which.
    """
    rows: list[dict[str, object]] = []
    n_pictured = count_kept_images(data) if len(pairs) else 0
    for arm in [name for name in data.arms if name in set(pairs["arm"])]:
        mine = pairs[pairs["arm"] == arm]
        by_image = mine.groupby(["sample_hash", "scene"], sort=False)
        gains = by_image["gain"].mean().sort_values(kind="stable")
        n_images = len(gains)
        for side, chosen in (("gain", gains[gains > 0][::-1]), ("loss", gains[gains < 0])):
            for rank, image in enumerate(chosen.index[:MOST_EXTREME], start=1):
                seen = by_image.get_group(image).sort_values("seed")
                found = compute_estimate(seen["difference"].tolist())
                row = {"arm": arm, "side": side, "rank": rank, "sample_hash": image[0], "scene": image[1]}
                place = int(seen["place"].iloc[0])
                row |= {"place": place, "has_picture": place < n_pictured, "n_pictured": n_pictured}
                row |= {"metric": data.claim.primary, "n_images": n_images, "n_seeds": seen["seed"].nunique()}
                row |= {"seeds": " ".join(map(str, seen["seed"])), "difference": found.mean}
                row |= {"wins": int((seen["gain"] > 0).sum()), "losses": int((seen["gain"] < 0).sum())}
                row |= {
                    "low": found.low,
                    "high": found.high,
                    "keys": data.keys_at((arm, BASELINE), seen["seed"].unique()),
                }
                rows.append(row)
    return pd.DataFrame(rows, columns=list(EXTREME_COLUMNS))


def describe_per_image(frame: pd.DataFrame) -> list[str]:
    """What the shares are about, the arms that win and lose most, and where mean and majority disagree."""
    if frame.empty:
        return []
    whole = frame[frame["scene"] == ALL]
    metric, n_images = metric_phrase(frame["metric"].iloc[0]), int(whole["n_images"].max())
    sentences = [
        f"An image is won where the arm's trained model has the better {metric} on it than the baseline's of the same seed: "
        "this answers whether these trained models would win on other such images, not whether the architecture is "
        f"better, which only seeds can say. {n_images} images; intervals over seeds."
    ]
    ranked = whole.assign(net=(whole["wins"] - whole["losses"]).abs()).sort_values(
        "net", ascending=False, kind="stable"
    )
    for _, row in ranked.head(MOST_NAMED).iterrows():
        lost = f"{_percent(row['losses'], row['losses_low'], row['losses_high'])}"
        won = f"{row['arm']} wins {_percent(row['wins'], row['low'], row['high'])} of the images and loses {lost}"
        sentences.append(f"{won} ({count(row['n_seeds'], 'seed')}).")
    sentences += _disagreements(whole, metric)
    return sentences + _turning_scenes(frame)


def describe_image_extremes(frame: pd.DataFrame) -> list[str]:
    """The one image that any arm gains most on, and the one that any loses most on."""
    sentences = []
    for side in ("gain", "loss"):
        mine = frame[frame["side"] == side]
        if mine.empty:
            continue
        row = mine.iloc[int(mine["difference"].abs().argmax())]
        decimals, better = decimals_of(row["metric"]), "wins" if side == "gain" else "loses"
        shown = f"{signed(row['difference'], decimals)} {interval(row['low'], row['high'], decimals)}".strip()
        where = f"image {row['sample_hash']} ({row['scene']})" if row["scene"] else f"image {row['sample_hash']}"
        times = f"it {better} {row['wins' if side == 'gain' else 'losses']} of {count(row['n_seeds'], 'seed')}"
        text = f"Largest {side}: {row['arm']} on {where}, {metric_phrase(row['metric'])} {shown}; {times}"
        sentences.append(f"{text}. It is the extreme of {row['n_images']} images, so some of it is luck.")
    return sentences + _without_pictures(frame)


def _without_pictures(frame: pd.DataFrame) -> list[str]:
    """That a reader cannot look at most of what is named here, where that is so."""
    images = frame.drop_duplicates("sample_hash") if len(frame) else frame
    without = images[~images["has_picture"].astype(bool)]
    if without.empty:
        return []
    n, kept = int(images["n_pictured"].max()), count(len(images), "image")
    why = f"trials keep the first {count(n, 'test image')} alone" if n else "no trial kept one"
    return [f"Of the {kept} named here {len(without)} {'has' if len(without) == 1 else 'have'} no picture: {why}."]


def _share_row(data: StudyData, arm: str, scene: str, mine: pd.DataFrame) -> dict[str, object]:
    by_seed = mine.assign(wins=mine["gain"] > 0, losses=mine["gain"] < 0).groupby("seed")
    means = by_seed[["wins", "losses", "difference"]].mean()
    row: dict[str, object] = {"arm": arm, "scene": scene, "metric": data.claim.primary}
    row |= {"n_images": int(by_seed.size().max()), "n_seeds": len(means), "seeds": " ".join(map(str, means.index))}
    wins, losses = (compute_estimate(means[name].astype(float).tolist()) for name in ("wins", "losses"))
    row |= {"wins": wins.mean} | dict(zip(("low", "high"), _cut(wins), strict=True))
    row |= {"losses": losses.mean} | dict(zip(("losses_low", "losses_high"), _cut(losses), strict=True))
    difference = compute_estimate(means["difference"].tolist())
    limits = {"difference_low": difference.low, "difference_high": difference.high}
    return row | {"difference": difference.mean, "keys": data.keys_at((arm, BASELINE), means.index)} | limits


def _cut(share: Estimate) -> tuple[float, float]:
    return max(share.low, 0.0), min(share.high, 1.0)


def _percent(share: float, low: float, high: float) -> str:
    limits = "" if math.isnan(low) else f" [{100 * low:.0f}, {100 * high:.0f}]"
    return f"{100 * share:.0f} %{limits}"


def _disagreements(whole: pd.DataFrame, metric: str) -> list[str]:
    """Arms whose mean, with its whole interval, is on one side and most of whose images are on the other."""
    sign = 1 if METRICS[str(whole["metric"].iloc[0])].direction == "higher" else -1
    decimals = decimals_of(str(whole["metric"].iloc[0]))
    is_sure = (whole["difference_low"] > 0) | (whole["difference_high"] < 0)
    odd = whole[is_sure & (sign * whole["difference"] * (whole["wins"] - whole["losses"]) < 0)]
    return [
        f"{row['arm']} wins {100 * row['wins']:.0f} % and loses {100 * row['losses']:.0f} % of the images although its mean "
        f"{metric} differs by {signed(row['difference'], decimals)}: few images carry the mean."
        for _, row in odd.head(MOST_NAMED).iterrows()
    ]


def _turning_scenes(frame: pd.DataFrame) -> list[str]:
    """Arms that win most images of one scene type and lose most of another, each with its whole interval."""
    sentences = []
    for arm, mine in frame[frame["scene"] != ALL].groupby("arm", sort=False):
        won, lost = mine[mine["low"] > 0.5], mine[mine["losses_low"] > 0.5]
        if len(won) and len(lost):
            listed = ["; ".join(f"{r['scene']}" for _, r in side.iterrows()) for side in (won, lost)]
            sentences.append(f"{arm} wins most images of {listed[0]}, and loses most of {listed[1]}.")
    return sentences[:MOST_NAMED]
