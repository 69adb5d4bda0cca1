"""Learned soft Q values of agents' policies."""

from collections.abc import Sequence

import numpy as np

from malfl.checks import IntArray
from malfl.games import MarkovGame, Policies
from malfl.kernels.temporal_difference import soft_td
from malfl.play import Block, Player
from malfl.soft import entropy_bonus


class TemporalDifferences:
    """Soft Q values of some agents under one joint policy, updated block by block from zero.

    Parameters
    ----------
    player
        Of the game, whose blocks are to be learned from.
    alpha, beta
        Entropy coefficient and step size.
    executed
        Whether a step's update uses the action executed next (SARSA).
    agents
        Whose values; all by default.
    """

    def __init__(
        self,
        game: MarkovGame,
        policies: Policies,
        player: Player,
        *,
        alpha: float,
        beta: float,
        executed: bool,
        agents: Sequence[int] | None = None,
    ) -> None:
        agents = range(game.n_agents) if agents is None else agents
        self._game, self._beta, self._executed = game, beta, executed
        self._counts = np.zeros((game.n_states, 1 << player.bits), dtype=np.int64)
        self._pairs = tuple(player.own_pairs[i] for i in agents)
        self._bonus = [entropy_bonus(policies[i], alpha) for i in agents]
        self._values = tuple(bonus.ravel().copy() for bonus in self._bonus)
        self._by_code = any(reward.ndim > 1 for reward in game.rewards)
        self._gains = tuple(
            player.by_code(beta * (game.joint_reward(i) + bonus[:, game.own_actions[i]]))
            if self._by_code
            else beta * (game.rewards[i][:, None] + bonus).ravel()
            for i, bonus in zip(agents, self._bonus, strict=True)
        )

    def update(self, block: Block) -> None:
        """Learn from a block that was drawn with actions ahead, and count its steps."""
        soft_td(
            block.codes,
            block.steps,
            self._counts.ravel(),
            self._pairs,
            self._gains,
            self._by_code,
            self._values,
            self._game.gamma,
            self._beta,
            self._executed,
        )

    @property
    def counts(self) -> IntArray:
        """Joint actions taken so far, shape (S, A)."""
        return self._counts[:, : self._game.n_joint_actions]

    @property
    def q(self) -> Policies:
        """The values, one (S, A_i) array for each of the agents."""
        return tuple(
            values.reshape(bonus.shape) - bonus
            for values, bonus in zip(self._values, self._bonus, strict=True)
        )
