"""What imported trials lack, said in words and never filled in.

In: a study with trials of provenance `imported`. Out: sentences, none where every trial is our own.
"""

from collections.abc import Iterable

from analysis.load import StudyData
from analysis.wording import count

MOST_NAMES = 5


def describe_lacking(data: StudyData) -> list[str]:
    """One sentence for each thing that the imported trials do not say."""
    rows = data.complete[data.complete["provenance"] == "imported"]
    if rows.empty:
        return []
    by_arm = dict(tuple(rows.groupby("arm")))
    arms = [(arm, by_arm[arm]) for arm in data.arms if arm in by_arm]
    lacking = {
        "It is unknown on which test images {} scored, so no difference from another arm and no verdict is given": [
            arm for arm, mine in arms if mine["data/test_hash"].isna().any()
        ],
        "It is unknown on how many test images {} scored": [
            arm for arm, mine in arms if mine["data/n_test"].isna().any()
        ],
        "One value alone is known where {} measured, so there is no interval, and chance may be all of any difference": [
            arm for arm, mine in arms if len(mine) == 1
        ],
        "It is unknown how many parameters were trained where {} measured, so neither size nor efficiency is known": [
            arm for arm, mine in arms if mine["cost/params_trained"].isna().all()
        ],
    }
    sentences = [f"{text.format(_named(names))}." for text, names in lacking.items() if names]
    if data.sweep.get("imported", {}).get("without_seed"):
        sentences.append("Rows were published without a seed; what stands as seed 0 is no seed.")
    if not any((data.log.trials_dir / key / "samples.parquet").exists() for key in rows["key"]):
        what = "No value of a single test image was imported"
        sentences.append(f"{what}, so nothing is known of splits, scene types or single images.")
    sizes = rows["data/n_test"].dropna()
    if sizes.nunique() > 1:
        listed = ", ".join(f"{n:.0f} in {count(k, 'trial')}" for n, k in sizes.value_counts().items())
        sentences.append(f"Imported trials were scored on different numbers of test images: {listed}.")
    return sentences


def _named(names: Iterable[str]) -> str:
    """`10M and 2 more were`, as the subject of a sentence."""
    names = list(names)
    more = len(names) - MOST_NAMES
    shown = ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
    return f"{shown} {'was' if len(names) == 1 else 'were'}"
