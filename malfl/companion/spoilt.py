"""What an observer has who takes for what happened something else."""

from dataclasses import replace

import numpy as np

from malfl.companion.regimes import Wrong
from malfl.play.episodes import Episodes
from malfl.play.view import View

LOST, MISREAD = 0.5, 0.01  # shares of steps and of states


def spoilt(view: View, wrong: Wrong | None, rng: np.random.Generator) -> View:
    """What an observer takes for what happened."""
    if wrong == "missing iterations":
        assert view.own_policies is not None
        assert view.episodes is not None
        return replace(
            view, counts=view.counts[::2], own_policies=view.own_policies[::2],
            episodes=view.episodes[::2],
        )  # fmt: skip
    change = {"lost steps": without_some, "misread states": misread}.get(str(wrong))
    if change is None:
        return view
    episodes = tuple(change(played, rng) for played in view.episodes or ())
    return replace(view, episodes=episodes, counts=np.array([one.counts() for one in episodes]))


def without_some(played: Episodes, rng: np.random.Generator) -> Episodes:
    """Episodes in which each step is lost with a probability of ``LOST``, but not all of one."""
    before, actions, _ = played.moves()
    starts = played.packed.ends[:-1]
    seen = rng.random(len(before)) >= LOST
    seen[starts] |= ~np.logical_or.reduceat(seen, starts)
    lengths = np.add.reduceat(seen.astype(np.int64), starts)
    return Episodes(
        states=np.insert(before[seen], lengths.cumsum(), played.packed.last),
        actions=actions[seen], lengths=lengths, n_states=played.n_states,
        n_joint_actions=played.n_joint_actions,
    )  # fmt: skip


def misread(played: Episodes, rng: np.random.Generator) -> Episodes:
    """Episodes in which each state is taken for any with a probability of ``MISREAD``."""
    before, actions, _ = played.moves()
    states = np.insert(before, played.packed.ends[1:], played.packed.last)
    wrong = rng.random(len(states)) < MISREAD
    states = np.where(wrong, rng.integers(played.n_states, size=len(states)), states)
    return Episodes(
        states=states, actions=actions, lengths=played.lengths, n_states=played.n_states,
        n_joint_actions=played.n_joint_actions,
    )  # fmt: skip
