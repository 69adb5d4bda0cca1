"""Other ways to play a game: what one would write first, and what others have written."""

import numpy as np
import quantecon
from numba import njit

from malfl.checks import FloatArray, IntArray
from malfl.games.markov import Dynamics, MarkovGame, Policies
from malfl.games.soft import dense_state_transitions, joint_probabilities


def cumulative(odds: FloatArray) -> FloatArray:
    """Cumulative sums along the last axis that end at exactly 1."""
    sums = odds.cumsum(axis=-1)
    return np.asarray(sums / sums[..., -1:])


class NaiveLoop:
    """A straightforward numba loop: a draw from cumulative odds for each agent and action.

    Any number of agents with equally many actions, deterministic moves, rewards of states.
    """

    def __init__(self, game: MarkovGame, policies: Policies, alpha: float, beta: float) -> None:
        self.game, self.beta = game, beta
        self.start = cumulative(game.start)
        self.moves = game.transitions.indices.reshape(game.n_states, -1)
        self.policies = cumulative(np.array(policies))
        self.bonus = -alpha * np.log(np.array(policies))
        self.rewards = np.array(game.rewards)

    def __call__(
        self, episodes: int, steps: int, rng: np.random.Generator, learn: bool
    ) -> tuple[IntArray, FloatArray]:
        """Counts (S, A) and, if asked to ``learn``, soft Q values (N, S, A_i) by Algorithm 1."""
        counts = np.zeros(self.moves.shape, dtype=np.int64)
        q = np.zeros_like(self.policies)
        _naive_loop(
            rng, self.start, self.moves, self.policies, self.rewards, self.bonus, self.game.gamma,
            self.beta, q, counts, episodes, steps, learn,
        )  # fmt: skip
        return counts, q


@njit(cache=True, nogil=True)
def _draw(odds: FloatArray, rng: np.random.Generator) -> int:
    u, k = rng.random(), 0
    while u >= odds[k]:
        k += 1
    return k


@njit(cache=True, nogil=True)
def _naive_loop(
    rng: np.random.Generator,
    start: FloatArray,
    moves: IntArray,
    policies: FloatArray,
    rewards: FloatArray,
    bonus: FloatArray,
    gamma: float,
    beta: float,
    q: FloatArray,
    counts: IntArray,
    episodes: int,
    steps: int,
    learn: bool,
) -> None:
    agents, _, actions = policies.shape
    own = np.zeros(agents, dtype=np.int64)
    for _ in range(episodes):
        s = _draw(start, rng)
        for _ in range(steps):
            joint = 0
            for i in range(agents):
                own[i] = _draw(policies[i, s], rng)
                joint = joint * actions + own[i]
            following = moves[s, joint]
            counts[s, joint] += 1
            if learn:
                for i in range(agents):
                    a = _draw(policies[i, following], rng)
                    target = rewards[i, s] + gamma * (q[i, following, a] + bonus[i, following, a])
                    q[i, s, own[i]] += beta * (target - q[i, s, own[i]])
            s = following


def numpy_loop(
    dynamics: Dynamics, policies: Policies, episodes: int, steps: int, rng: np.random.Generator
) -> IntArray:
    """All episodes a step at a time in NumPy, nothing counted; returns the last states."""
    moves = dynamics.transitions.indices.reshape(dynamics.n_states, -1)
    odds = [cumulative(policy) for policy in policies]
    states: IntArray = rng.choice(dynamics.n_states, size=episodes, p=dynamics.start)
    for _ in range(steps):
        joint = np.zeros(episodes, dtype=np.int64)
        for size, policy in zip(dynamics.actions, odds, strict=True):
            own = (rng.random(episodes)[:, None] >= policy[states]).sum(axis=1)
            joint = joint * size + own
        states = moves[states, joint]
    return states


def quantecon_chain(dynamics: Dynamics, policies: Policies) -> "quantecon.MarkovChain":
    """The chain of states under a joint policy, for ``simulate_indices``."""
    chain = dense_state_transitions(dynamics, joint_probabilities(dynamics, policies))
    return quantecon.MarkovChain(chain / chain.sum(axis=1, keepdims=True))
