"""The states of a log in which some were misread."""

from dataclasses import replace

import numpy as np
from scipy.stats import binom

from malfl import checks, progress
from malfl.games.markov import Dynamics
from malfl.kernels import viterbi as kernel
from malfl.kernels.steps import Steps
from malfl.kernels.viterbi import HiddenStates
from malfl.play.episodes import Episodes
from malfl.play.view import View

CALL_MOVES = 2**19  # looked at in one call of a kernel, some milliseconds
CHANCE = 1e-9  # how likely so many changes must be, at twice the rate


def most_likely_states(view: View, rate: float) -> View:
    """The view with the likeliest states in the place of those that were read.

    The likeliest path of states of each episode, by the algorithm of Viterbi (1967): a state is
    read right with probability ``1 - rate``, and otherwise as any other state, all equally likely.
    The first state is by the start of the game, and each next one by its transitions and the joint
    action, which is always read right. That the agents' policies, too, tell in which state they
    are is not used.

    Parameters
    ----------
    view
        With episodes, of a game with known rules.
    rate
        The probability in (0, 1) that a state was misread.

    Returns
    -------
    View
        With other episodes and counts; all else stays.

    Raises
    ------
    ValueError
        If there are no episodes, the game has one state only, ``rate`` lies outside (0, 1), or
        in an iteration many more states differ from the likeliest than ``rate`` explains. Then
        the rate is larger, the episodes start elsewhere, or the rules are others.
    MemoryError
        If there is no room for what is stored about the longest episode, a state of one to four
        bytes for each step and state of the game.
    """
    checks.instance(view, View, "view", "see LearningLog.seen_by")
    rate = checks.real(rate, "rate")
    if not 0 < rate < 1:
        raise ValueError(f"rate must lie in (0, 1), got {rate}")
    if view.episodes is None:
        raise ValueError("view has no episodes; learn with record=True")
    if view.dynamics.n_states == 1:
        raise ValueError("view must be of a game of two states or more, got 1, always read right")
    model = _model(view.dynamics, rate)
    with progress.bar(sum(played.steps for played in view.episodes)):
        likeliest = [_likeliest(played, model) for played in view.episodes]
    for h, (played, found) in enumerate(zip(view.episodes, likeliest, strict=True)):
        _check_changes(played.packed, found.packed, rate, h)
    counts = np.array([found.counts() for found in likeliest])
    return replace(view, counts=counts, episodes=tuple(likeliest))


def _model(dynamics: Dynamics, rate: float) -> HiddenStates:
    moves = dynamics.transitions
    with np.errstate(divide="ignore"):
        start = np.log(dynamics.start)
    match = np.log1p(-rate) - np.log(rate) + np.log(dynamics.n_states - 1)
    return HiddenStates(start, moves.indptr, moves.indices, np.log(moves.data), float(match))


def _likeliest(played: Episodes, model: HiddenStates) -> Episodes:
    """Some whole episodes at a time, from their first step to their last and back."""
    seen, states, joint = played.packed, played.n_states, played.n_joint_actions
    piece = max(1, CALL_MOVES * joint // model.follows.size)  # steps in one call of a kernel
    rows = min(played.steps, max(piece, played.lengths.max(initial=1)))
    kind = np.min_scalar_type(states - 1)
    checks.memory(rows * states * kind.itemsize, f"paths of {rows} steps", "cut episodes shorter")
    before = np.empty((rows, states), dtype=kind)
    likeliest = Steps(seen.codes.copy(), seen.ends, seen.last.copy())
    scores = np.full(states, -np.inf)
    origin = 0
    while origin < played.steps:
        end = int(seen.ends[np.searchsorted(seen.ends, origin + rows, "right") - 1])
        pieces = [(t, min(t + piece, end)) for t in range(origin, end, piece)]
        for t, beyond in pieces:
            kernel.forward(seen, model, t, beyond, origin, scores, before, likeliest.last)
            progress.advance(beyond - t)
        for t, beyond in reversed(pieces):
            kernel.backward(likeliest, joint, t, beyond, origin, before)
            progress.advance()
        origin = end
    return played.with_steps(likeliest.codes, likeliest.last)


def _check_changes(seen: Steps, likeliest: Steps, rate: float, iteration: int) -> None:
    """Raise if more states were changed than twice the rate explains."""
    total = len(seen.codes) + len(seen.last)
    changed = np.count_nonzero(seen.codes != likeliest.codes)
    changed += np.count_nonzero(seen.last != likeliest.last)
    if binom.sf(changed - 1, total, min(2 * rate, 1.0)) < CHANCE:
        raise ValueError(
            f"view does not fit rate {rate:g}: in iteration {iteration}, {changed} of {total} "
            f"states ({changed / total:.2g}) differ from the likeliest ones; rate must be larger, "
            "or the start or transitions of the view's dynamics are not those of its episodes"
        )
