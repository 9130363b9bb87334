"""How much each factor matters: shares of importance in a factorial, the range of effects where one is varied at a time.

In: the complete trials at the registered seeds. Out: a frame with IMPORTANCE_COLUMNS. fANOVA (Hutter et al. 2014) says
how much of the variance of the primary metric a factor alone explains, PED-ANOVA (Watanabe et al. 2023) how much it
matters for being among the best arms; both are optuna's. They add up to 1 over the factors even if nothing but noise
is there, so `repeatable` stands beside them: the share of the variance between arms that is not noise of the seeds.
"""

import logging
import math
from functools import partial

import numpy as np
import pandas as pd

from analysis.blocks import compute_jackknife, fit_blocks, leave_out_blocks
from analysis.factorial import factorial_values
from analysis.factorial_design import find_aliases, read_design
from analysis.load import StudyData
from analysis.table import seed_values
from analysis.wording import capitalised, count, decimals_of, interval, metric_phrase, number
from foresight.declared import FactorInfo
from foresight.metrics import METRICS
from foresight.seeding import keyed_seed

IMPORTANCE_COLUMNS = (
    "method", "factor", "metric", "n_levels", "unmeasured", "n_arms", "n_seeds", "seeds", "n_test",
    "importance", "low", "high", "p_holm", "state", "highest", "lowest", "repeatable", "enough_arms", "aliased",
)  # fmt: skip
LEAST_ARMS = (
    20  # below this the best tenth is two arms, and the variance shares of the factorial say more than a forest
)
BEST = 5  # arms that PED-ANOVA compares with the rest, or a tenth of all, if that is more
# Of fANOVA's forest, optuna's number: with 16, shares of 1296 noisy arms moved by up to 0.04. Those take 6 to 8 s, and as
# long again for each seed that is left out.
N_TREES = 64
WHOLE_BLOCK = 0.9  # share of the fullest block's arms that a block needs to count here
SHOWN, NOT_SHOWN = "shown", "not shown"  # whether a level differs from the baseline; else an arm's own `no verdict`


def build_importance(data: StudyData, verdicts: pd.DataFrame) -> pd.DataFrame:
    """IMPORTANCE_COLUMNS, one row per method and factor, with intervals by leaving one seed out (three seeds at least).

    `importance` is a share of 1 for `fanova` and `ped_anova`, and missing where the trials so far cannot tell a main effect
    from others. For `range` it is the highest minus the lowest level mean, in units of the metric. Whether more than noise
    made it is said by the `verdicts` on its levels and by no second test, which could contradict them: levels that are all
    the same have no arm that is better or worse but at the claim's rate of alpha. `p_holm` is the least of their p-values.
    """
    arms = verdicts[verdicts["kind"] == "arm"].set_index("name")
    rows = _factorial_rows(data) if data.is_factorial else [_range_row(data, factor, arms) for factor in data.factors]
    return pd.DataFrame(rows, columns=list(IMPORTANCE_COLUMNS))


def compute_importances(arms: pd.DataFrame, higher_is_better: bool, method: str) -> dict[str, float]:
    """Factor to its share of importance, from one row per arm: `value` and one column of levels per factor.

    `method` is `fanova` or `ped_anova`. Every factor needs at least two levels. Deterministic.
    """
    import optuna  # 0.2 s, and its forest 2 s more: only for those who ask

    logging.getLogger("optuna").setLevel(logging.WARNING)  # it announces every study it keeps in memory
    factors = [str(name) for name in arms if name != "value"]
    distributions: dict[str, optuna.distributions.BaseDistribution] = {
        # By place and not by level, as optuna's categories are numbers, texts or None and ours anything that JSON has.
        name: optuna.distributions.CategoricalDistribution(tuple(range(arms[name].nunique())))
        for name in factors
    }
    codes = {name: pd.factorize(arms[name])[0] for name in factors}
    study = optuna.create_study(direction="maximize" if higher_is_better else "minimize")
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={name: int(codes[name][i]) for name in factors}, distributions=distributions, value=float(value)
            )
            for i, value in enumerate(arms["value"])
        ]
    )
    evaluator: optuna.importance.BaseImportanceEvaluator
    if method == "fanova":
        evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=N_TREES, seed=keyed_seed(0, "fanova") % 2**32)
    else:
        quantile = min(1.0, max(0.1, BEST / len(arms)))
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=quantile)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(found[name]) for name in factors}


def compute_repeatable(values: pd.DataFrame) -> float:
    """Share of the variance between arm means that is not noise of the seeds: 1 - 1 / F of the arms, at least 0.

    nan where no arm has a second seed.
    """
    fit = fit_blocks(values)
    n_seeds = len(values) / values["arm"].nunique()
    between = float(fit.arm_means.var(ddof=1)) * n_seeds
    return math.nan if math.isnan(fit.sd) or not between else max(0.0, 1 - fit.sd**2 / between)


def describe_importance(frame: pd.DataFrame) -> list[str]:
    """What the shares or ranges say, and what they cannot."""
    if frame.empty:
        return []
    if (frame["method"] == "range").all():
        return _describe_ranges(frame)
    first, metric = frame.iloc[0], metric_phrase(frame["metric"].iloc[0])
    if not first["enough_arms"]:
        text = f"Importances need {LEAST_ARMS} arms at least, and {first['n_arms']} are complete"
        return [f"{text}: the shares of variance of the factorial say what there is to say."]
    if first["aliased"]:
        text = f"No importances: the {first['n_arms']} arms measured cannot tell the main effect of {first['aliased']} from other"
        return [f"{text} effects, and fANOVA and PED-ANOVA would divide what they share without saying so."]
    sentences = []
    for method, mine in frame.groupby("method", sort=False):
        ranked = mine.sort_values("importance", ascending=False)
        listed = ", ".join(
            f"{row['factor']} {number(row['importance'])} {interval(row['low'], row['high'])}".strip()
            for _, row in ranked.iterrows()
        )
        what = f"variance of {metric} explained" if method == "fanova" else f"being among the best {metric}"
        sentences.append(f"{_NAMES[str(method)]} ({what}; shares of 1 over {count(len(mine), 'factor')}): {listed}.")
    repeatable, basis = first["repeatable"], f"{count(first['n_arms'], 'arm')}, {count(first['n_seeds'], 'seed')}"
    if math.isnan(repeatable):
        text = "With one seed nothing says how much of this is noise, since the shares add up to 1 over noise as well"
        sentences.append(f"{text} ({basis}).")
    else:
        text = f"{number(100 * repeatable, 1)} % of the variance between arms repeats over seeds ({basis})"
        sentences.append(f"{text}; the shares divide the rest, which is noise, among the factors as well.")
    return sentences


_NAMES = {"fanova": "fANOVA", "ped_anova": "PED-ANOVA"}


def _describe_ranges(frame: pd.DataFrame) -> list[str]:
    sentences = ["One factor was varied, so there is none to weigh it against, and no interaction to see."]
    if len(frame) > 1:
        text = (
            "One factor was varied at a time, so no trial combines two changed levels: fANOVA and PED-ANOVA cannot see"
        )
        sentences = [f"{text} an interaction here, and each factor has the range of its level means instead."]
    measured = frame[frame["importance"].notna()].sort_values("importance", ascending=False)
    of_one_seed, told = measured[measured["n_seeds"] == 1], measured[measured["n_seeds"] > 1]
    if len(told):
        sentences.append(_widest(told.iloc[0], is_only=len(measured) == 1, is_most=of_one_seed.empty))
    for rows, text in (
        (
            told[told["state"] == NOT_SHOWN],
            "No level of these is shown to differ from the baseline; levels on its two sides are not tested against each other",
        ),
        (told[~told["state"].isin((SHOWN, NOT_SHOWN))], "No verdict says whether these ranges are more than noise"),
        (of_one_seed, "With one seed nothing says how much of a range is noise, and none is called the widest"),
    ):
        if len(rows):
            decimals = decimals_of(rows["metric"].iloc[0])
            listed = "; ".join(f"{r['factor']} ({number(r['importance'], decimals)})" for _, r in rows.iterrows())
            sentences.append(f"{text}: {listed}.")
    return sentences


def _widest(row: pd.Series, is_only: bool, is_most: bool) -> str:
    """The widest range, as an effect only where a verdict shows one."""
    metric, decimals = metric_phrase(row["metric"]), decimals_of(row["metric"])
    if row["importance"] == 0:
        return f"The level means of {row['factor']} in {metric} are all the same, and no range is wider."
    shown = f"{number(row['importance'], decimals)} {interval(row['low'], row['high'], decimals)}".strip()
    ends = f"from {row['lowest']} to {row['highest']}"
    basis = f"{count(row['n_seeds'], 'seed')}, {count(row['n_levels'], 'level')}"
    if row["state"] == SHOWN:
        most = "most, " if is_most and not is_only else ""
        found = f"{capitalised(str(row['factor']))} moves {metric} {most}by {shown} {ends} ({basis})"
    else:
        which = "The range" if is_only else "The widest range" if is_most else "The widest range over several seeds"
        found = f"{which} of {metric} is that of {row['factor']}, {shown} {ends} ({basis})"
    return f"{found}; the ends were chosen after looking, and a range is never negative."


def _factorial_rows(data: StudyData) -> list[dict[str, object]]:
    values = factorial_values(data)
    if values.empty:
        return []
    per_block = values.groupby("seed").size()
    values = values[values["seed"].isin(per_block.index[per_block >= WHOLE_BLOCK * per_block.max()])]
    fields = {factor.name: f"config/{factor.field}" for factor in data.factors}
    varied = [factor for factor in data.factors if values[fields[factor.name]].nunique() > 1]
    design = read_design(data.factors, values)
    aliases = find_aliases(design.terms, design.matrix(values))
    aliased = ", ".join(factor.name for factor in varied if aliases[factor.name])
    seeds, n_arms = sorted(map(int, values["seed"].unique())), values["arm"].nunique()
    about: dict[str, object] = {
        "metric": data.claim.primary, "n_arms": n_arms, "n_seeds": len(seeds), "seeds": " ".join(map(str, seeds)),
        "n_test": data.n_tested, "repeatable": compute_repeatable(values), "enough_arms": n_arms >= LEAST_ARMS,
        "aliased": aliased, "importance": math.nan, "low": math.nan, "high": math.nan, "p_holm": math.nan, "state": "",
    }  # fmt: skip
    rows: list[dict[str, object]] = []
    for method in ("fanova", "ped_anova"):
        shares: dict[str, tuple[float, float, float]] = {}
        if n_arms >= LEAST_ARMS and not aliased:
            compute = partial(_importances_of, {f.name: fields[f.name] for f in varied}, _higher(data), method)
            whole, without = compute(values), leave_out_blocks(values, compute)
            for name, share in whole.items():
                low, high = compute_jackknife(share, [left[name] for left in without])
                shares[name] = (share, max(low, 0.0), min(high, 1.0))
        for factor in varied:
            levels = [str(level) for level in factor.levels if not (values[fields[factor.name]] == level).any()]
            row: dict[str, object] = {
                "method": method,
                "factor": factor.name,
                "n_levels": values[fields[factor.name]].nunique(),
            }
            row |= about | {"unmeasured": ", ".join(levels)}
            if factor.name in shares:
                row |= dict(zip(("importance", "low", "high"), shares[factor.name], strict=True))
            rows.append(row)
    return rows


def _importances_of(fields: dict[str, str], higher: bool, method: str, values: pd.DataFrame) -> dict[str, float]:
    means = fit_blocks(values).arm_means
    levels = values.drop_duplicates("arm").set_index("arm").loc[means.index]
    arms = pd.DataFrame({name: levels[field] for name, field in fields.items()}).assign(value=means)
    return compute_importances(arms.reset_index(drop=True), higher, method)


def _range_row(data: StudyData, factor: FactorInfo, verdicts: pd.DataFrame) -> dict[str, object]:
    values = seed_values(data, data.claim.primary)
    values = values[values["seed"].isin(data.registered_seeds)]
    level_of = {factor.arm_at(level): str(level) for level in factor.levels}
    wide = values[values["arm"].isin(level_of)].pivot(index="seed", columns="arm", values="value").dropna()
    wide = wide[[arm for arm in level_of if arm in wide]]
    row: dict[str, object] = {
        "method": "range", "factor": factor.name, "metric": data.claim.primary, "n_levels": wide.shape[1],
        "unmeasured": ", ".join(level for arm, level in level_of.items() if arm not in wide),
        "n_arms": wide.shape[1], "n_seeds": len(wide), "seeds": " ".join(map(str, wide.index)), "n_test": data.n_tested,
        "enough_arms": wide.shape[1] > 1, "aliased": "",
    }  # fmt: skip
    if wide.shape[1] < 2 or wide.empty:
        return row
    means = wide.mean()
    long = wide.reset_index().melt("seed", var_name="arm", value_name="value")
    low, high = compute_jackknife(_range_of(long), leave_out_blocks(long, _range_of))
    row |= {"importance": _range_of(long), "low": max(low, 0.0), "high": high, "repeatable": compute_repeatable(long)}
    judged = verdicts.loc[[arm for arm in wide if arm in verdicts.index]]
    row |= {"p_holm": judged["p_holm"].min(), "state": _state_of(judged["verdict"])}
    return row | {"highest": level_of[str(means.idxmax())], "lowest": level_of[str(means.idxmin())]}


def _state_of(verdicts: pd.Series) -> str:
    """Whether a verdict shows an arm to differ; while none does, the first arm's that is still without one."""
    if verdicts.isin(("better", "worse")).any():
        return SHOWN
    without = verdicts[verdicts.str.startswith("no verdict")]
    return str(without.iloc[0]) if len(without) else NOT_SHOWN


def _range_of(values: pd.DataFrame) -> float:
    return float(np.ptp(values.groupby("arm")["value"].mean().to_numpy()))


def _higher(data: StudyData) -> bool:
    return METRICS[data.claim.primary].direction == "higher"
