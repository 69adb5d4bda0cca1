"""An agent's next improvement, predicted by an observer who has a guess at its reward."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog
from scipy.sparse import block_array, csr_array, eye_array, kron
from scipy.sparse.linalg import spsolve
from scipy.special import log_softmax, logsumexp

from malfl import checks, progress
from malfl.checks import BoolArray, FloatArray
from malfl.games.markov import MarkovGame, Policies
from malfl.games.soft import (
    DENSE_STATES,
    dense_own_transitions,
    entropy,
    improve_all,
    induced_mdp,
    over_opponents,
    own_transitions,
    soft_optimum,
    soft_q,
    state_transitions,
)
from malfl.values import set_fields


@dataclass(frozen=True, eq=False, init=False)
class Prediction:
    """The improvement pi_new of one agent, and what an observer expects it to be (Section 6).

    Everything is about the process that the agent faces while the others keep to their policies
    (MA-LfL, Definition 4.3), so a game of one agent is the case of Appendix A. Errors are solved
    for, not taken as differences of two soft Q functions: they are exact in proportion to
    themselves, however large the rewards. Probabilities are kept as logarithms. Of actions that are
    not legal the logarithm is minus infinity, and errors and changes are 0.

    Parameters
    ----------
    game
        With the true rewards.
    policies
        A joint policy, one (S, A_i) array an agent. Zeros are allowed.
    agent
        Whose improvement it is.
    alpha
        Its entropy coefficient, greater than 0.
    guess
        R-hat, shape (S,), (S, A_i) over own actions or (S, A) over joint actions.

    Raises
    ------
    ValueError
        If a policy is not one, alpha is not positive, the guess has another shape, is NaN or
        infinite, or gamma is 1, for which there are no bounds.
    """

    game: MarkovGame
    policies: Policies
    agent: int
    alpha: float
    guess: FloatArray  #: (S,) or (S, A)

    def __init__(
        self,
        game: MarkovGame,
        policies: Sequence[npt.ArrayLike],
        agent: int,
        alpha: float,
        guess: npt.ArrayLike,
    ) -> None:
        checks.instance(game, MarkovGame, "game", "with the true rewards")
        agent = game.check_agent(agent)
        if game.gamma == 1:
            raise ValueError("game must have a gamma below 1; the bounds have 1 - gamma below them")
        given, reward = game.check_policies(policies), checks.finite(guess, "guess")
        states, own, joint = game.n_states, game.actions[agent], game.n_joint_actions
        if reward.shape == (states, own):
            reward = reward[:, game.own_actions[agent]]
        if reward.shape not in ((states,), (states, joint)):
            raise ValueError(
                f"guess must have shape {(states,)}, {(states, own)} or {(states, joint)}, "
                f"got {reward.shape}"
            )
        set_fields(
            self,
            game=game,
            policies=tuple(p / p.sum(axis=1, keepdims=True) for p in given),
            agent=agent,
            alpha=checks.positive(alpha, "alpha"),
            guess=reward,
        )

    @property
    def policy(self) -> FloatArray:
        """pi^i, what is improved upon, shape (S, A_i)."""
        return self.policies[self.agent]

    @property
    def legal(self) -> BoolArray:
        """What the agent may do, shape (S, A_i)."""
        return self.game.legal[self.agent]

    @property
    def after(self) -> Policies:
        """The joint policy once the agent has improved and nobody else has."""
        policies = list(self.policies)
        policies[self.agent] = np.exp(self.logs)
        return tuple(policies)

    @property
    def state_only(self) -> bool:
        """Whether reward and guess depend on the state alone."""
        return self.game.rewards[self.agent].ndim == self.guess.ndim == 1

    @cached_property
    def process(self) -> MarkovGame:
        """The game of one agent, with the expected reward, that the agent faces."""
        return induced_mdp(self.game, self.policies, self.agent)

    @cached_property
    def reward(self) -> FloatArray:
        """E over a^-i of R, the reward of the agent's process, shape (S, A_i)."""
        rewards = self.game.joint_reward(self.agent)
        return over_opponents(self.game, self.policies, self.agent, rewards)

    @cached_property
    def error(self) -> FloatArray:
        """E over a^-i of R-hat - R, shape (S, A_i)."""
        joint = self.guess[:, None] if self.guess.ndim == 1 else self.guess
        wrong = joint - self.game.joint_reward(self.agent)
        error = over_opponents(self.game, self.policies, self.agent, wrong)
        return np.where(self.legal, error, 0.0)

    @cached_property
    def q_error(self) -> FloatArray:
        """Q-hat - Q of the agent's own actions, shape (S, A_i); entropies cancel."""
        value = self.discounted(self.policy, (self.policy * self.error).sum(axis=1))
        return self.error + self.game.gamma * self.ahead(value)

    @cached_property
    def everyone_after(self) -> Policies:
        """The joint policy once all agents have improved at the same time (Assumption 4.5)."""
        return improve_all(self.game, self.policies, self.alpha)[1]

    @cached_property
    def joint_q(self) -> FloatArray:
        """Soft Q of the agent over joint actions, shape (S, A)."""
        return soft_q(self.game, self.policies, self.agent, self.alpha)

    @cached_property
    def q(self) -> FloatArray:
        """Soft Q of the agent's own actions, averaged over the others', shape (S, A_i)."""
        return self.soft_q(self.reward, self.policy)

    @cached_property
    def optimum(self) -> FloatArray:
        """The agent's optimal soft policy while the others stay, shape (S, A_i)."""
        return soft_optimum(self.process, self.alpha).policy

    @cached_property
    def logs(self) -> FloatArray:
        """Ln pi_new, shape (S, A_i), which stays finite where pi_new is too small for a float."""
        return np.asarray(log_softmax(np.where(self.legal, self.q / self.alpha, -np.inf), axis=1))

    @cached_property
    def change(self) -> FloatArray:
        """D = ln pi-hat_new - ln pi_new, shape (S, A_i)."""
        # pi-hat_new is pi_new e^lift, normalised. Where lift is small its mean must not cancel.
        error = np.where(self.legal, self.q_error, -np.inf)
        lift = (self.q_error - error.max(axis=1, keepdims=True)) / self.alpha
        lift = np.where(self.legal, lift, 0.0)
        near = np.log1p((np.exp(self.logs) * np.expm1(np.maximum(lift, -1))).sum(axis=1))
        far = logsumexp(self.logs + lift, axis=1)
        change = lift - np.where(lift.min(axis=1) > -1, near, far)[:, None]
        return np.where(self.legal, change, 0.0)

    @cached_property
    def divergence(self) -> FloatArray:
        """``KL(pi_new || pi-hat_new)`` in each state, shape (S,)."""
        # The mean of e^d is 1, so this is E[e^d - 1 - d], of which no term is negative: by its
        # series where differences would cancel, with e^d pi_new where e^d alone would overflow.
        d, new = self.change, np.exp(self.logs)
        little = np.clip(d, -1, 1)
        terms = np.select(
            [np.abs(d) < 1e-5, np.abs(d) < 1],
            [new * little**2 / 2 * (1 + little / 3), new * (np.expm1(little) - little)],
            np.exp(self.logs + d) - new * (1 + d),
        )
        return np.asarray(terms.sum(axis=1))

    @cached_property
    def canonical(self) -> FloatArray:
        """g(s) = alpha (ln Z-hat - ln Z), the shaping in the papers' proofs, shape (S,)."""
        first = np.arange(self.game.n_states), self.legal.argmax(axis=1)
        return np.asarray(self.q_error[first] - self.alpha * self.change[first])

    @cached_property
    def best(self) -> FloatArray:
        """The g of the shaping that brings R-hat nearest to R in every entry, shape (S,)."""
        start = self.shaped_error(self.canonical)
        size = float(np.abs(start).max()) or 1.0
        rows = np.flatnonzero(self.legal)
        nearer = best_shaping(start.ravel()[rows] / size, self.shaping_matrix[rows])
        return np.asarray(self.canonical + size * nearer)

    @cached_property
    def least_error(self) -> float:
        """E*, the least ``sup |E[R-hat - R] - sh_g|`` over all shapings."""
        return float(np.abs(self.shaped_error(self.best)).max())

    @cached_property
    def moves(self) -> "FloatArray | csr_array":
        """``P(s'|s, a^i)``, shape (S * A_i, S); dense up to `DENSE_STATES` states."""
        get = dense_own_transitions if self.game.n_states <= DENSE_STATES else own_transitions
        return get(self.game, self.policies, self.agent)

    @cached_property
    def shaping_matrix(self) -> "FloatArray | csr_array":
        """g(s) - gamma E[g(s')] as a matrix, shape (S * A_i, S); dense if `moves` are."""
        states, own = self.policy.shape
        if isinstance(self.moves, np.ndarray):
            return np.repeat(np.eye(states), own, axis=0) - self.game.gamma * self.moves
        here = kron(eye_array(states), np.ones((own, 1)))
        return csr_array(here - self.game.gamma * self.moves)

    def shaped_error(self, g: FloatArray) -> FloatArray:
        """E[R-hat - R - sh_g] with sh_g = g(s) - gamma E[g(s')], shape (S, A_i)."""
        error = self.error - g[:, None] + self.game.gamma * self.ahead(g)
        return np.where(self.legal, error, 0.0)

    def ahead(self, value: FloatArray) -> FloatArray:
        """E[value(s')] after each own action, shape (S, A_i)."""
        return np.asarray((self.moves @ value).reshape(self.error.shape))

    def soft_q(self, reward: FloatArray, policy: FloatArray) -> FloatArray:
        """Soft Q in the agent's process for another reward and policy, each (S, A_i)."""
        gain = (policy * reward).sum(axis=1) + self.alpha * entropy(policy)
        return reward + self.game.gamma * self.ahead(self.discounted(policy, gain))

    def discounted(self, policy: FloatArray, gain: FloatArray) -> FloatArray:
        """Solve v = gain + gamma P_policy v, shape (S,)."""
        states, gamma = len(gain), self.game.gamma
        if isinstance(self.moves, np.ndarray):
            chain = (policy[:, None, :] @ self.moves.reshape(states, -1, states))[:, 0]
            return np.asarray(np.linalg.solve(np.eye(states) - gamma * chain, gain))
        between = state_transitions(self.process, policy)
        system = eye_array(states, format="csc") - gamma * between
        return np.asarray(progress.interruptible(spsolve)(system, gain))


@progress.interruptible
def best_shaping(error: FloatArray, shaping: "FloatArray | csr_array") -> FloatArray:
    """The g that makes ``sup |error - shaping g|`` least, by a linear program.

    Parameters
    ----------
    error
        Shape (M,), of entries around 1.
    shaping
        What a shaping by g is in each of these, shape (M, S).

    Returns
    -------
    ndarray
        Shape (S,).
    """
    entries, states = shaping.shape
    dense = isinstance(shaping, np.ndarray)
    one: Any = np.ones((entries, 1)) if dense else csr_array(np.ones((entries, 1)))
    rows: Any = [[shaping, -one], [-shaping, -one]]
    sides: Any = np.block(rows) if dense else block_array(rows, format="csr")
    found = linprog(
        np.append(np.zeros(states), 1.0),
        A_ub=sides,
        b_ub=np.concatenate([error, -error]),
        bounds=[(-np.inf, np.inf)] * states + [(0.0, np.inf)],
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if found.x is None or not found.success:
        raise RuntimeError(f"the linear program for the best shaping failed: {found.message}")
    return np.asarray(found.x[:-1])
