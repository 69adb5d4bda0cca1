"""What the pages under "Explore" let a reader look through: plain numbers, rounded, to be sent.

Every function returns lists and dictionaries that JSON can hold, one flat dictionary for each
thing that the knobs of a page can choose. Shares and probabilities come as whole thousandths or
ten-thousandths, what is not known as None.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import log_softmax

from malfl import checks
from malfl.checks import FloatArray, IntArray
from malfl.evaluation.metrics import normalised, pearson
from malfl.games.gridworlds import positions
from malfl.games.markov import MarkovGame
from malfl.learners import Training, train
from malfl.play.sampling import sample_episodes
from malfl.recovery import Estimator, forecast, prediction_error
from malfl.studies.study import NO_CHANGE, run_all, trained_and_recovered
from malfl.theory import bounds
from malfl.theory.prediction import Prediction

Picture = dict[str, Any]

SIDES = {
    "least error": (bounds.t1_above, "left"),
    "T1, below": (bounds.t1_below, "left"),
    "T1, above": (bounds.t1_above, "right"),
    "Theorem 6.1": (bounds.theorem_6_1, "right"),
    "divergence": (bounds.t2, "left"),
    "T2": (bounds.t2, "right"),
    "Theorem 6.5": (bounds.theorem_6_5, "right"),
}
"""Sides of the statements that `tightening` follows: the check and which side of it."""


def recovered_rewards(
    games: Mapping[str, MarkovGame],
    training: Training,
    estimators: Mapping[str, Estimator],
    episodes: Sequence[int],
    *,
    seed: int,
    store: str | PathLike[str] | None = None,
) -> Picture:
    """Rewards recovered after every improvement, by estimator and number of episodes.

    Parameters
    ----------
    games, estimators
        Under the names they are reported by. Rewards of the games are of the state.
    training
        How agents learn, over 2 iterations or more.
    episodes
        Numbers of episodes an iteration, in place of the training's; each is a run of its own.
    store
        As for `malfl.Study.scores`.

    Returns
    -------
    dict
        ``"true"``: ``game``, ``agent`` and ``reward``, S thousandths of its range.
        ``"found"``: the same of what the next agent recovered, by ``estimator``, ``episodes`` and
        ``improvements`` learned from, with its ``PCC``; states that are not known are None. Where
        either reward is the same in all states known, or none is, the correlation is 0.
    """
    checks.count(training.iterations, "iterations", at_least=2)
    calls = [
        (name, game, training.but(episodes=number), estimators, seed)
        for number in episodes
        for name, game in games.items()
    ]
    parts = run_all(_recovered, calls, store=store)
    true = [
        {"game": name, "agent": i, "reward": whole(normalised(reward), 1000)}
        for name, game in games.items()
        for i, reward in enumerate(game.rewards)
    ]
    return {"true": true, "found": [row for part in parts for row in part]}


def _recovered(
    name: str,
    game: MarkovGame,
    training: Training,
    estimators: Mapping[str, Estimator],
    seed: int,
) -> list[Picture]:
    """What was found in one run of `recovered_rewards`."""
    improvements = range(1, training.iterations)
    _, found = trained_and_recovered(game, training, seed, estimators, improvements=improvements)
    rows = []
    for agent, estimator, length, reward in found:
        over = np.full(game.n_states, np.nan) if reward is None else reward.over_states()
        rows.append(
            {
                "game": name,
                "agent": agent,
                "estimator": estimator,
                "episodes": training.episodes,
                "improvements": length,
                "PCC": significant(_correlation(over, game.rewards[agent])),
                "reward": whole(normalised(over) if np.isfinite(over).any() else over, 1000),
            }
        )
    return rows


def predicted_improvements(
    games: Mapping[str, MarkovGame],
    training: Training,
    estimators: Mapping[str, Estimator],
    *,
    seed: int,
    store: str | PathLike[str] | None = None,
) -> Picture:
    """Agent 0's improvements as they came, and as agent 1 predicted them one iteration before.

    Parameters
    ----------
    estimators
        Under the names they are reported by.
    training
        How agents learn, over 2 iterations or more.
    store
        As for `malfl.Study.scores`.

    Returns
    -------
    dict
        ``"came"``: ``game``, ``iteration`` h from 1 and ``policy``, S * A_0 ten-thousandths of
        pi_h, state by state. ``"predicted"``: for h from 2 also the ``estimator``, and ``error``, S
        divergences in nats of what was predicted from what came. Who expects no change expects
        pi_{h - 1}.
    """
    checks.count(training.iterations, "iterations", at_least=2)
    calls = [(name, game, training, estimators, seed) for name, game in games.items()]
    parts = run_all(_predicted, calls, store=store)
    return {key: [row for part in parts for row in part[key]] for key in ("came", "predicted")}


def _predicted(
    name: str,
    game: MarkovGame,
    training: Training,
    estimators: Mapping[str, Estimator],
    seed: int,
) -> Picture:
    """One game of `predicted_improvements`."""
    log = train(game, training, seed, record=True)
    history, view = log.policies[0], log.seen_by(1)
    policies = {NO_CHANGE: history[1:-1]}
    policies |= {who: forecast(view, of=0, by=one).policies for who, one in estimators.items()}
    came = [
        {"game": name, "iteration": h, "policy": whole(history[h], 10_000)}
        for h in range(1, log.iterations + 1)
    ]
    rows = []
    for who, predicted in policies.items():
        errors = prediction_error(history[2:], predicted)
        for h, (policy, error) in enumerate(zip(predicted, errors, strict=True), start=2):
            row = {"game": name, "iteration": h, "estimator": who, "policy": whole(policy, 10_000)}
            rows.append(row | {"error": [significant(one, 3) for one in error]})
    return {"came": came, "predicted": rows}


def tightening(guesses: Mapping[str, Prediction], deltas: Sequence[float]) -> list[Picture]:
    """Both sides of T1, Theorem 6.1, T2 and Theorem 6.5 as a guess gets better.

    The error of each guess is shrunk, its pattern kept, until the guess predicts the improvement
    up to delta = ``sup |ln pi-hat_new - ln pi_new|``.

    Parameters
    ----------
    guesses
        Under the names they are reported by; none may predict all improvements correctly.
    deltas
        Each greater than 0.

    Returns
    -------
    list of dict
        For each guess its name under ``guess``, ``alpha``, ``gamma``, the number of ``actions``
        A_i, the true ``reward`` in the agent's process, and ``pattern``, what the best shaping
        leaves of the error, in [-1, 1], both S * A_i numbers, state by state; and ``rows`` with
        ``delta`` and the sides named in `SIDES`.
    """
    pictures = []
    for name, guess in guesses.items():
        true = guess.game.rewards[guess.agent]
        rows = []
        for delta in deltas:
            size = _size_of_error(guess, checks.positive(delta, "delta"))
            shrunk = Prediction(
                guess.game, guess.policies, guess.agent, guess.alpha,
                true + size * (guess.guess - true),
            )  # fmt: skip
            sides = {side: getattr(check(shrunk), end) for side, (check, end) in SIDES.items()}
            rows.append({side: significant(x) for side, x in {"delta": delta, **sides}.items()})
        left = guess.shaped_error(guess.best) / guess.least_error
        pictures.append(
            {
                "guess": name,
                "alpha": guess.alpha,
                "gamma": guess.game.gamma,
                "actions": guess.policy.shape[1],
                "reward": [significant(x) for x in np.ravel(guess.reward)],
                "pattern": [significant(x, 3) for x in left.ravel()],
                "rows": rows,
            }
        )
    return pictures


def walks(
    games: Mapping[str, MarkovGame],
    training: Training,
    *,
    episodes_shown: int,
    steps_shown: int,
    seed: int,
    store: str | PathLike[str] | None = None,
) -> Picture:
    """Episodes that two agents play under each of their policies from pi_0 to pi_H.

    Of pi_H, which is reached and not played, as many are played after all is over.

    Parameters
    ----------
    games
        Of two agents, from `malfl.games.gridworlds.ma_lfl`, under the names they are reported by.
    training
        How agents learn.
    episodes_shown, steps_shown
        How much of what was played is shown; no more than the episodes and steps of training.
    store
        As for `malfl.Study.scores`.

    Returns
    -------
    dict
        ``"rewards"``: by name of the game, one list of S rewards an agent. ``"policies"``:
        ``game``, ``iteration`` h from 0 and, a list over agents each, ``policies``: S * A_i
        thousandths of pi_h, state by state, and means over all steps played: ``reward`` and the
        distance ``to_goal``; and, of both, how far they are ``apart``. ``"episodes"``: ``game``,
        ``iteration``, ``episode`` from 1, the joint ``states`` s_0..s_T and the joint ``actions``
        taken in s_0..s_{T-1}.

    Raises
    ------
    ValueError
        If more is to be shown than is played.
    """
    for wanted, most, name in (
        (episodes_shown, training.episodes, "episodes_shown"),
        (steps_shown, training.steps, "steps_shown"),
    ):
        if checks.count(wanted, name) > most:
            raise ValueError(f"{name} must be at most {most}, got {wanted}")
    calls = [
        (name, game, training, episodes_shown, steps_shown, seed) for name, game in games.items()
    ]
    parts = run_all(_walks, calls, store=store)
    rewards = {name: [reward.tolist() for reward in game.rewards] for name, game in games.items()}
    shown = {key: [row for part in parts for row in part[key]] for key in ("policies", "episodes")}
    return {"rewards": rewards} | shown


def _walks(
    name: str,
    game: MarkovGame,
    training: Training,
    episodes_shown: int,
    steps_shown: int,
    seed: int,
) -> Picture:
    """One game of `walks`."""
    log = train(game, training, seed, record=True)
    last = sample_episodes(
        game, log.policies_at(log.iterations), episodes=training.episodes, steps=training.steps,
        seed=seed,
    )  # fmt: skip
    to_goal, apart = _distances(round(game.n_states**0.25))
    policies, episodes = [], []
    for h, played in enumerate((*(log.episodes or ()), last)):
        share = played.counts().sum(axis=1) / played.steps
        row = {"game": name, "iteration": h}
        seen = {
            "policies": [whole(policy, 1000) for policy in log.policies_at(h)],
            "reward": [significant(float(share @ reward)) for reward in game.rewards],
            "to_goal": [significant(float(share @ distance)) for distance in to_goal],
            "apart": significant(float(share @ apart)),
        }
        policies.append(row | seen)
        for e in range(episodes_shown):
            walk = {
                "episode": e + 1,
                "states": played[e].states[: steps_shown + 1].tolist(),
                "actions": played[e].actions[:steps_shown].tolist(),
            }
            episodes.append(row | walk)
    return {"policies": policies, "episodes": episodes}


def whole(values: npt.ArrayLike, parts: int) -> list[int | None]:
    """Numbers in units of 1 / parts, flattened, rounded to whole ones; None for NaN."""
    scaled = parts * np.ravel(np.asarray(values, dtype=np.float64))
    return [None if np.isnan(x) else round(float(x)) for x in scaled]


def significant(value: float, digits: int = 4) -> float | None:
    """A number rounded to so many digits; None if it is infinite or NaN."""
    return float(f"{value:.{digits}g}") if np.isfinite(value) else None


def _correlation(found: FloatArray, true: FloatArray) -> float:
    known = np.isfinite(found)
    if any(len(set(reward[known])) < 2 for reward in (found, true)):
        return 0.0
    return pearson(found[known], true[known])


def _distances(size: int) -> tuple[IntArray, IntArray]:
    """Manhattan distances of two agents to the goal, shape (2, S), and between them, (S,)."""
    rows, columns = np.divmod(positions(size, agents=2).T, size)
    apart = np.abs(rows[0] - rows[1]) + np.abs(columns[0] - columns[1])
    return 2 * (size - 1) - rows - columns, apart


def _size_of_error(guess: Prediction, delta: float) -> float:
    """By what to multiply the guess's error so that it predicts up to delta.

    As the error grows, the largest log ratio of a state rises and the least falls. Their spread
    grows in proportion, and the larger in size of the two is at least half of it.
    """
    lift = guess.q_error / guess.alpha
    spread = float(np.ptp(lift, axis=1).max())
    if spread == 0:
        raise ValueError("a guess predicts every improvement; there is no error to shrink")

    def beyond(size: float) -> float:
        change = log_softmax(guess.logs + size * lift, axis=1) - guess.logs
        return float(np.abs(change).max()) - delta

    return float(brentq(beyond, 0.0, 2 * delta / spread, xtol=1e-15, rtol=1e-12))
