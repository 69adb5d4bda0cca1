"""Whether the moves that were seen are those of the rules, or of any rules."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.special import xlogy

from malfl import progress
from malfl.checks import FloatArray, IntArray
from malfl.games.markov import Dynamics
from malfl.kernels.moves import first_forbidden
from malfl.play.episodes import Episodes
from malfl.play.view import View
from malfl.recovery.deviance import expected_deviance

CALL_STEPS = 2**18  # checked in one call of a kernel, some milliseconds
MOST_MOVES = 100_000  # the rules are judged by the first so many
CHANCE = 5.0  # standard deviations of the deviance that count as chance


def check_moves(view: View, begin: int = 0) -> None:
    """Raise ValueError if a step that was seen leads where the rules say that it cannot.

    Parameters
    ----------
    begin
        The first iteration to look at.
    """
    dynamics = view.dynamics
    wrong = forbidden_move((view.episodes or ())[begin:], dynamics)
    if wrong is not None:
        raise ValueError(
            f"view holds a move that its dynamics forbid: in iteration {begin + wrong.iteration}, "
            f"step {wrong.step}, joint action {wrong.action} led from state {wrong.state} to state "
            f"{wrong.after}; transitions must be of shape (S, A, S) with S = {dynamics.n_states} "
            f"and A = {dynamics.n_joint_actions}, or estimated from the moves, see "
            "malfl.WithEstimatedRules"
        )


class Move(NamedTuple):
    """One move, and where it was made."""

    iteration: int
    step: int  # of the iteration
    state: int
    action: int  # of all agents together
    after: int


def forbidden_move(episodes: Sequence[Episodes], dynamics: Dynamics) -> Move | None:
    """The first move of the iterations' episodes that the rules forbid; None if there is none."""
    states, _ = dynamics.code_parts(0)
    moves = dynamics.transitions.sorted_indices()
    for h, played in enumerate(episodes):
        for first in range(0, played.steps, CALL_STEPS):
            progress.advance()
            end = min(first + CALL_STEPS, played.steps)
            given = played.packed, states, moves.indptr, moves.indices, first, end
            if (step := int(first_forbidden(*given))) >= 0:
                return Move(h, step, *(int(part[step]) for part in played.moves()))
    return None


def surprise(view: View) -> float:
    """By how much moves differ from those of the rules, in nats a move; 0 if by chance.

    Zero as well if no episodes were recorded. What is compared are the shares of next states.
    """
    seen = _first(view)
    rules = view.dynamics.transitions
    totals = np.bincount(seen.codes, minlength=rules.shape[0])
    return _beyond_chance(seen.codes, seen.after, rules, totals, np.ones(len(totals)))


def memory(view: View) -> float:
    """How much the state before the present one tells of the next one, in nats a move.

    0 in a Markov game, whatever its rules; also 0 if chance may explain it, or no episodes were
    recorded. What is compared are the shares of next states after each state and joint action,
    with those after each state before as well. The latter are drawn from the former without being
    put back, so that they differ by a little less than if drawn from known rules.
    """
    seen = _first(view)
    codes, before, after = (
        part[seen.before >= 0] for part in (seen.codes, seen.before, seen.after)
    )
    states = view.dynamics.n_states
    shape = states * view.dynamics.n_joint_actions, states
    shares = csr_array((np.ones(codes.size), (codes, after)), shape=shape)
    shares.sum_duplicates()
    of_code = np.bincount(codes, minlength=shape[0])
    shares.data /= np.repeat(of_code, np.diff(shares.indptr))
    groups, rows = np.unique(codes * states + before, return_inverse=True)
    totals, all_moves = np.bincount(rows), of_code[groups // states]
    drawn = (all_moves - totals) / np.maximum(all_moves - 1, 1)
    return _beyond_chance(rows, after, shares[groups // states], totals, drawn)


class _Moves(NamedTuple):
    """The first moves that were seen, N of them."""

    codes: IntArray  # (N,), state * A + joint action
    before: IntArray  # (N,), the state before that; -1 where an episode begins
    after: IntArray  # (N,), the state that they led to


def _first(view: View) -> _Moves:
    parts, left = [np.zeros((3, 0), dtype=np.int64)], MOST_MOVES
    joint = view.dynamics.n_joint_actions
    for played in view.episodes or ():
        codes, ends, last = played.packed
        codes = codes[: left + 1].astype(np.int64)  # one more, for where the last one led to
        states, ends = codes // joint, ends[ends <= len(codes)]
        before, after = np.roll(states, 1), np.roll(states, -1)
        before[ends[ends < len(codes)]] = -1
        after[ends[1:] - 1] = last[: len(ends) - 1]
        parts.append(np.array([codes, before, after])[:, :left])
        left -= parts[-1].shape[1]
    return _Moves(*np.concatenate(parts, axis=1))


def _beyond_chance(
    rows: IntArray, after: IntArray, odds: csr_array, totals: IntArray, drawn: FloatArray
) -> float:
    """Half the deviance a move of next states from their odds (R, S), beyond what chance leaves.

    Parameters
    ----------
    rows, after
        Of each move, (N,), which odds it is drawn by, and what it led to.
    totals
        (R,), moves drawn by each.
    drawn
        (R,), factors by which the deviance by chance is smaller than if these were true odds.
    """
    if rows.size == 0:
        return 0.0
    states = odds.shape[1]
    cells, counts = np.unique(rows * states + after, return_counts=True)
    of, to = np.divmod(cells, states)
    likely = np.asarray(odds[of, to]).ravel()
    seen = 2 * float((xlogy(counts, counts) - xlogy(counts, totals[of] * likely)).sum())
    entries = np.repeat(np.arange(len(totals)), np.diff(odds.indptr))
    possible = (totals[entries] > 0) & (odds.data > 0)
    log_odds = np.log(odds.data[possible])[:, None]
    chance = expected_deviance(totals[entries[possible]].astype(np.float64), log_odds)
    expected = float((chance * drawn[entries[possible]]).sum())
    beyond = seen - expected
    return beyond / (2 * rows.size) if beyond > CHANCE * np.sqrt(2 * expected) else 0.0
