"""Many games, many statements: how often each holds, and how nearly it fails."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from malfl.games.markov import MarkovGame
from malfl.learners.soft_policy_iteration import iterate_exactly
from malfl.theory.bounds import Bound
from malfl.theory.prediction import Prediction
from malfl.theory.random_games import random_predictions

Check = Callable[[Prediction], Bound | None]

SUMMARY_TYPES = {
    "statement": "text", "instances": "count", "violations": "count",
    "min_ratio": "number", "median_ratio": "number", "max_ratio": "number",
}  # fmt: skip
#: Columns of `summary`.
SUMMARY = tuple(SUMMARY_TYPES)


def put_to_the_test(
    statements: Mapping[str, Check], predictions: Iterable[Prediction]
) -> pd.DataFrame:
    """Both sides of every statement in every game.

    Returns
    -------
    DataFrame
        Columns ``statement``, ``game`` (its number), ``left``, ``right``, ``ratio``, ``holds``.
        Games that a statement does not apply to are left out, and so are those that could not show
        that it is false: both sides are no more than rounding, or the right one is infinite.
    """
    rows = []
    for game, prediction in enumerate(predictions):
        for statement, check in statements.items():
            bound = check(prediction)
            if bound is not None and not np.isnan(bound.ratio) and bound.right < np.inf:
                rows.append((statement, game, bound.left, bound.right, bound.ratio, bound.holds))
    return pd.DataFrame(rows, columns=["statement", "game", "left", "right", "ratio", "holds"])


def while_they_learn(game: MarkovGame, alpha: float, iterations: int) -> list[Prediction]:
    """Every improvement of every agent in a run of exact soft policy iteration.

    The guess at an agent's reward is the next agent's. Nothing is sampled.

    Parameters
    ----------
    alpha
        Entropy coefficient, greater than 0.
    iterations
        Number of improvements, at least 1; there are as many predictions an agent.
    """
    policies = iterate_exactly(game, alpha=alpha, iterations=iterations)
    others = np.roll(np.arange(game.n_agents), -1)
    return [
        Prediction(game, [p[h] for p in policies], i, alpha, game.rewards[others[i]])
        for h in range(iterations)
        for i in range(game.n_agents)
    ]


def random_trials(
    statements: Mapping[str, Check],
    number: int,
    seed: int,
    **family: Any,  # noqa: ANN401
) -> pd.DataFrame:
    """`put_to_the_test` on so many random games of a family, as `random_predictions` has them."""
    return put_to_the_test(statements, random_predictions(number, seed=seed, **family))


def grid_trials(
    statements: Mapping[str, Check], game: MarkovGame, alpha: float, iterations: int
) -> pd.DataFrame:
    """`put_to_the_test` on every improvement of `while_they_learn`."""
    return put_to_the_test(statements, while_they_learn(game, alpha, iterations))


def summary(trials: pd.DataFrame) -> pd.DataFrame:
    """Games, violations and ratios of left to right for each statement, columns `SUMMARY`."""
    rows = [
        (
            statement,
            len(group),
            int((~group["holds"]).sum()),
            group["ratio"].min(),
            group["ratio"].median(),
            group["ratio"].max(),
        )
        for statement, group in trials.groupby("statement", sort=False)
    ]
    return pd.DataFrame(rows, columns=SUMMARY)


def for_print(table: pd.DataFrame) -> pd.DataFrame:
    """`summary` to be read: a row a statement, ratios with three digits."""
    ratios = [name for name in SUMMARY if name.endswith("ratio")]
    shown = table.assign(**{name: table[name].map("{:.3g}".format) for name in ratios})
    return shown.set_index("statement")
