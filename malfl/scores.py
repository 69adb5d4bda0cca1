"""Recoveries scored against the truth and set beside what the paper printed."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from malfl.estimation import Method as PolicyMethod
from malfl.estimation import PolicyEstimates, estimate_policies
from malfl.logs import LearningLog
from malfl.metrics import correlation, interval
from malfl.published import TABLE_1
from malfl.recovery import recover

TABLE_1_ESTIMATORS: dict[str, dict[str, Any]] = {
    "Adam, R(s, a)": {"method": "adam", "reward_class": "joint-action"},
    "Adam, R(s, a_i)": {"method": "adam", "reward_class": "state-action"},
    "Adam, R(s)": {"method": "adam", "reward_class": "state"},
    "least squares, R(s)": {"method": "least_squares", "reward_class": "state"},
    "weighted least squares, R(s)": {
        "method": "least_squares",
        "reward_class": "state",
        "weighting": "visits",
    },
}
"""Ways to solve Eq. 12 with the operator of Theorem 5.1; the first is the paper's setting."""


def score_log(
    log: LearningLog,
    estimators: Mapping[str, Mapping[str, Any]],
    policy_method: PolicyMethod = "smoothing",
    strength: float | None = None,
) -> pd.DataFrame:
    """Recover every agent's reward as the next agent sees it, and correlate it with the truth.

    Parameters
    ----------
    estimators
        Options of `malfl.recover` under the name they are reported by.
    policy_method, strength
        How policies are estimated; see `malfl.estimate_policies`.

    Returns
    -------
    DataFrame
        Columns ``agent`` (from 1), ``estimator``, ``PCC``, ``SCC``, ``states``.
    """
    rows = []
    for agent, true in enumerate(log.game.rewards):
        seen = log.observed_by((agent + 1) % log.game.n_agents)
        policies: PolicyEstimates = estimate_policies(seen, policy_method, strength)
        for name, options in estimators.items():
            found = correlation(recover(seen, of=agent, policies=policies, **options), true)
            rows.append((agent + 1, name, *found))
    return pd.DataFrame(rows, columns=["agent", "estimator", "PCC", "SCC", "states"])


def table_1(scores: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds beside MA-LfL's Table 1; "mean" averages the agents seed by seed.

    Parameters
    ----------
    scores
        Rows of `score_log` with two more columns, ``game`` ("hom" or "het") and ``seed``.

    Returns
    -------
    DataFrame
        Columns ``game, agent, metric, estimator, mean, sd, low, high, seeds, paper_mean,
        paper_sd``; ``low`` and ``high`` bound a 95 % interval over seeds.
    """
    keys = ["game", "estimator", "seed"]
    agents = scores.assign(agent=scores["agent"].astype(str))
    both = agents.groupby(keys, sort=False)[["PCC", "SCC"]].mean().reset_index()
    long = pd.concat([agents, both.assign(agent="mean")]).melt(
        [*keys, "agent"], ["PCC", "SCC"], "metric", "score"
    )
    rows = []
    for (game, metric, agent), paper in TABLE_1.items():
        cell = long[(long["game"] == game) & (long["metric"] == metric) & (long["agent"] == agent)]
        for estimator, group in cell.groupby("estimator", sort=False):
            ours = interval(group["score"])
            rows.append((game, agent, metric, estimator, *ours, paper.value, paper.spread))
    columns = "game agent metric estimator mean sd low high seeds paper_mean paper_sd"
    return pd.DataFrame(rows, columns=columns.split())
