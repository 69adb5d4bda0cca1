"""Learned soft Q values of agents' policies."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from malfl.checks import FloatArray, IntArray, WordArray
from malfl.games.markov import MarkovGame, Policies
from malfl.games.soft import entropy_bonus
from malfl.kernels.temporal_difference import soft_td
from malfl.play.episodes import Episodes


class TemporalDifferences:
    """Soft Q values of some agents under one joint policy, updated step by step from zero.

    Where an episode ends, they are the rewards received there. Steps of episodes that stay where
    they ended change nothing: such a state is worth as much as its reward, time and again.

    Parameters
    ----------
    agents
        Whose values.
    pairs, by_code
        Of the codes in which steps come: for each agent the (s, a^i) of a code, and how an (S, A)
        array is laid out by code. A `malfl.play.player.Player` knows those of its blocks.
    alpha, beta
        Entropy coefficient and step size.
    executed
        Whether a step's update uses the action executed next (SARSA).
    """

    def __init__(
        self,
        game: MarkovGame,
        policies: Policies,
        agents: Sequence[int],
        pairs: Sequence[WordArray],
        by_code: Callable[[Any], Any],
        *,
        alpha: float,
        beta: float,
        executed: bool,
    ) -> None:
        self._game, self._beta, self._executed = game, beta, executed
        self._counts = np.zeros(len(pairs[0]), dtype=np.int64)
        self._pairs = tuple(pairs[i] for i in agents)
        self._bonus = [entropy_bonus(policies[i], alpha) for i in agents]
        self._values = tuple(
            (bonus + game.final_reward(i)[:, None]).ravel()
            for i, bonus in zip(agents, self._bonus, strict=True)
        )
        game = game.lasting()
        self._by_code = any(reward.ndim > 1 for reward in game.rewards)
        self._gains = tuple(
            by_code(beta * (game.joint_reward(i) + bonus[:, game.own_actions[i]]))
            if self._by_code
            else beta * (game.rewards[i][:, None] + bonus).ravel()
            for i, bonus in zip(agents, self._bonus, strict=True)
        )

    def update(self, words: WordArray, steps: int) -> None:
        """Learn from the first steps of episodes (L, n), with draws ahead in the upper halves."""
        soft_td(
            words, steps, self._counts, self._pairs, self._gains, self._by_code, self._values,
            self._game.gamma, self._beta, self._executed,
        )  # fmt: skip

    @property
    def counts(self) -> IntArray:
        """Joint actions taken so far, shape (S, A)."""
        counts = self._counts.reshape(self._game.n_states, -1)[:, : self._game.n_joint_actions]
        return np.where(self._game.ends[:, None], 0, counts)

    @property
    def q(self) -> Policies:
        """The values, one (S, A_i) array for each of the agents."""
        return tuple(
            values.reshape(bonus.shape) - bonus
            for values, bonus in zip(self._values, self._bonus, strict=True)
        )


def along_steps(
    game: MarkovGame,
    policies: Policies,
    agent: int,
    played: Episodes,
    ahead: WordArray,
    *,
    alpha: float,
    beta: float,
    executed: bool,
) -> FloatArray:
    """Soft Q values of one agent from episodes that are over, shape (S, A_i).

    The same numbers as are learned while they are played.

    Parameters
    ----------
    ahead
        (N,), codes ``state * A + joint action`` of what was drawn ahead of each step.
    """
    pairs = [game.code_parts(i)[1].astype(np.uint32) for i in range(game.n_agents)]
    learned = TemporalDifferences(
        game, policies, [agent], pairs, np.ravel, alpha=alpha, beta=beta, executed=executed
    )
    words = played.packed.codes.astype(np.uint64) | ahead.astype(np.uint64) << np.uint64(32)
    for begin, end in zip(played.packed.ends[:-1], played.packed.ends[1:], strict=True):
        learned.update(words[None, begin:end], int(end - begin))
    return learned.q[0]
