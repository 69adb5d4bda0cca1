"""What improvements leave open, whatever is measured and however well.

The equations of Theorem 5.1 determine a reward up to the directions they do not see. Which ones
these are depends on the game and on the opponents' policies alone, not on the reward or on what
the agent does.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from numpy.linalg import svd
from scipy.linalg import qr

from malfl import checks, progress
from malfl.checks import FloatArray
from malfl.evaluation.metrics import correlation
from malfl.games.markov import Dynamics, MarkovGame
from malfl.learners.soft_policy_iteration import iterate_exactly
from malfl.recovery.consistency import ConsistencySystem, consistency_system
from malfl.recovery.from_policies import recover_from_policies
from malfl.recovery.projection import (
    determination,
    rank_floor,
    refuse_large,
    without_shapings,
)
from malfl.recovery.reward import REWARD_CLASSES, RewardClass


@progress.interruptible
def open_directions(
    dynamics: Dynamics,
    policies: Sequence[npt.ArrayLike],
    of: int,
    reward_class: RewardClass = "state",
) -> FloatArray:
    """Changes of an agent's reward that no improvement shows, as an orthonormal basis.

    Parameters
    ----------
    policies
        pi_0..pi_{H-1} of every agent, one (H, S, A_i) array each: those improved upon. The
        agent's own are not used.
    of
        The agent whose reward is looked for.
    reward_class
        What it may depend on, as for `malfl.recover`.

    Returns
    -------
    ndarray
        Shape (entries of the reward, k), the constant among what it spans.

    Raises
    ------
    ValueError
        If the game or the reward is too large for a singular value decomposition.
    """
    system = _system(dynamics, policies, of, reward_class)
    refuse_large(system, "a basis of what is open")
    matrix, _, _ = without_shapings(system)
    (square,) = qr(np.vstack([matrix, np.zeros(matrix.shape[1])]), mode="r")
    _, values, right = svd(square[: matrix.shape[1]], full_matrices=True)
    rank = int((values > rank_floor(system)).sum())
    return np.asarray(right[rank:].T)


@progress.interruptible
def identifiability(
    dynamics: Dynamics,
    policies: Sequence[npt.ArrayLike],
    of: int,
    reward_class: RewardClass,
    improvements: Sequence[int],
) -> pd.DataFrame:
    """How many directions so many improvements leave open, and how firmly they fix the others.

    Parameters
    ----------
    policies, of, reward_class
        As for `open_directions`.
    improvements
        Numbers of improvements to look at, up to H.

    Returns
    -------
    DataFrame
        Columns ``improvements``, ``unknowns``, ``open`` (the constant included), ``smallest
        singular value`` of what is fixed (infinite if nothing is), and ``condition``, the largest
        over it.
    """
    checks.instance(dynamics, Dynamics, "dynamics", "or a MarkovGame")
    of = dynamics.check_agent(of, "of")
    histories = checks.histories(policies, "policies", dynamics.n_states, dynamics.actions)
    checks.choice(reward_class, "reward_class", REWARD_CLASSES)
    checks.sequence(improvements, "improvements", "whole numbers")
    rows = []
    for h in improvements:
        checks.index(checks.count(h, "improvements") - 1, "improvements - 1", len(histories[of]))
        system = _system(dynamics, [p[:h] for p in histories], of, reward_class)
        found = determination(system)
        unknowns = int(np.prod(system.shape))
        least, largest = found.smallest_singular_value, found.largest_singular_value
        condition = largest / least if found.rank else np.nan
        rows.append((h, unknowns, unknowns - found.rank, least, condition))
    columns = ["improvements", "unknowns", "open", "smallest singular value", "condition"]
    return pd.DataFrame(rows, columns=columns)


@progress.interruptible
def exact_recovery(game: MarkovGame, alpha: float, iterations: int) -> pd.DataFrame:
    """Rewards of the state recovered from exact policies, by agent and number of improvements.

    Returns
    -------
    DataFrame
        Columns ``agent``, ``improvements``, ``PCC`` and ``SCC``, correlations with the true reward.
    """
    policies = iterate_exactly(game, alpha=alpha, iterations=iterations)
    if any(
        (history[:, legal] == 0).any() for history, legal in zip(policies, game.legal, strict=True)
    ):
        raise ValueError(
            "alpha must leave every legal action a probability that can be represented, got "
            f"{alpha:g}"
        )
    rows = []
    for agent in range(game.n_agents):
        for h in range(1, iterations + 1):
            some = [history[: h + 1] for history in policies]
            found = recover_from_policies(game, some, of=agent, alpha=alpha)
            score = correlation(found, game.rewards[agent])
            rows.append((agent, h, score.pearson, score.spearman))
    return pd.DataFrame(rows, columns=["agent", "improvements", "PCC", "SCC"])


def _system(
    dynamics: Dynamics, policies: Sequence[npt.ArrayLike], of: int, reward_class: RewardClass
) -> ConsistencySystem:
    """The equations for improvements upon ``policies``; whereto does not matter."""
    checks.instance(dynamics, Dynamics, "dynamics", "or a MarkovGame")
    of = dynamics.check_agent(of, "of")
    histories = checks.histories(policies, "policies", dynamics.n_states, dynamics.actions)
    later = [
        np.concatenate([p, np.full((1, *p.shape[1:]), 1 / p.shape[2])]) if i != of
        else np.full((len(p) + 1, *p.shape[1:]), 1 / p.shape[2])
        for i, p in enumerate(histories)
    ]  # fmt: skip
    return consistency_system(dynamics, later, of, 1.0, reward_class)
