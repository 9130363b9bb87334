"""Which registered seeds an arm lacks, and in what words."""

from analysis.load import StudyData


def count_failed(data: StudyData, arms: set[str], present: set[int]) -> int:
    """Registered seeds outside `present` at which a trial of `arms` failed."""
    if present >= set(data.registered_seeds):
        return 0
    failed = data.trials[(data.trials["status"] == "failed") & data.trials["arm"].isin(arms)]
    return len((set(data.registered_seeds) - present) & set(failed["seed"]))


def seed_share(n: int, registered: int, n_failed: int) -> str:
    """`3 of 5 seeds, 2 failed`: what is left of a diverging arm is a selection, and the words say so."""
    return f"{n} of {registered} seeds" + (f", {n_failed} failed" if n_failed else "")
