"""Episodes of a table as those of a game that shows in them: its turns, ends and moves."""

from math import prod

import numpy as np

from malfl import checks
from malfl.checks import BoolArray, IntArray
from malfl.data.codebook import Codebooks
from malfl.data.played import UNKNOWN, Found, Played, as_episodes, without_open_ends
from malfl.games.legal import possible
from malfl.games.markov import Dynamics
from malfl.recovery.rules import shares_of_moves

END = "end"


def found_by_moves(played: Played, books: Codebooks, gamma: float, smoothing: float) -> Found:
    """Episodes, with rules estimated from their moves.

    Raises
    ------
    MemoryError
        If there are too many states and actions for it.
    ValueError
        If an agent acts in a state in one row and does not in another, or no game has such rules.
    """
    states, sizes = books.sizes
    checks.memory(
        32 * states * prod(sizes), f"a table of {states} states and {prod(sizes)} joint actions",
        "number both from 0 on, without gaps",
    )  # fmt: skip
    played, names = _with_ends(played, states, books.states.labels)
    played, notes = without_open_ends(played)
    states = max(states, int(played.last.max(initial=0)) + 1)
    ends = np.zeros(states, dtype=bool)
    ends[played.last[played.ended]] = True
    legal = tuple(_legal(played, i, names, states, size) for i, size in enumerate(sizes))
    played = played._replace(actions=tuple(np.maximum(own, 0) for own in played.actions))
    episodes = as_episodes(played, states, sizes)
    mask = possible(legal, sizes, ends)
    first = np.concatenate([each.packed.codes[each.packed.ends[:-1]] for each in episodes])
    start = np.bincount(first.astype(np.int64) // mask.shape[1], minlength=states)
    tried = np.sum([each.counts() > 0 for each in episodes], axis=0) > 0
    dynamics = Dynamics(
        actions=sizes, transitions=shares_of_moves(episodes, mask, smoothing),
        start=start / start.sum(), gamma=gamma, ends=ends, legal=legal,
    )  # fmt: skip
    never = int((mask & ~tried).sum())
    if never:
        notes += (
            f"{never} of {int(mask.sum())} pairs of state and joint action were never tried; where "
            "they lead is not known, and what is assumed is the usual from the same state.",
        )
    return Found(dynamics, episodes, names, notes)


def _with_ends(
    played: Played, states: int, names: tuple[str, ...] | None
) -> tuple[Played, tuple[str, ...] | None]:
    """Episodes that end in states of their own, and the names of states with these.

    Such a state is needed where an episode ended in a state that something was done in, before or
    later, and where nobody says in which state it ended.
    """
    acted_in = np.zeros(states, dtype=bool)
    acted_in[played.states] = True
    ended, last = played.ended & (played.lengths > 0), played.last.copy()
    twins = np.unique(last[ended & ((last == UNKNOWN) | acted_in[last])])
    for k, state in enumerate(twins):
        last[ended & (played.last == state)] = states + k
    if names is not None:
        names += tuple(END if k == UNKNOWN else f"{END} in {names[k]}" for k in twins)
    return played._replace(last=last, ended=ended), names


def _legal(
    played: Played, agent: int, names: tuple[str, ...] | None, states: int, actions: int
) -> BoolArray:
    """What an agent may do, (S, A_i): everything, or nothing where it does not act."""
    own: IntArray = played.actions[agent]
    mask, resting = np.ones((states, actions), dtype=bool), own < 0
    if not resting.any():
        return mask
    idle = np.zeros(states, dtype=bool)
    idle[played.states[resting]] = True
    both = idle[played.states] & ~resting
    if both.any():
        step = int(np.argmax(both))
        state = played.states[step]
        other = int(np.argmax(resting & (played.states == state)))
        name = state if names is None else repr(names[state])
        raise ValueError(
            f"agent {agent} acts in state {name} in row {played.row_of(step)} and has no action in "
            f"row {played.row_of(other)}; a state must say whose turn it is"
        )
    mask[idle] = np.arange(actions) == 0
    return mask
