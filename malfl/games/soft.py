"""Exact soft evaluation, improvement and optimum, and the process one agent faces.

"Soft" values count the entropy of an agent's own policy as reward, weighted by alpha
(MA-LfL, Eq. 1).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve
from scipy.sparse import csr_array, eye_array
from scipy.sparse.linalg import bicgstab, splu
from scipy.special import entr, log_softmax, logsumexp

from malfl import checks, progress
from malfl.checks import BoolArray, FloatArray, IntArray
from malfl.games.markov import Dynamics, MarkovGame, Policies

DENSE_STATES = 1000  #: up to here a dense solve is the faster one
TOLERANCE = 1e-10  #: largest error of iterative solutions, relative to the largest value
ROUNDS = 100  # after which an iteration is given up


def entropy(policy: FloatArray) -> FloatArray:
    """Shannon entropy in nats over the last axis, with 0 ln 0 = 0."""
    return np.asarray(entr(policy).sum(axis=-1))


def entropy_bonus(policy: FloatArray, alpha: float) -> FloatArray:
    """-alpha ln pi, of the same shape; 0 where an action is never taken."""
    logs = np.log(policy, where=policy > 0, out=np.zeros_like(policy))
    return np.asarray(-alpha * logs)


def improve(q: npt.ArrayLike, alpha: float, legal: BoolArray | None = None) -> FloatArray:
    """Soft policy improvement (MA-LfL, Eq. 4 and 6): softmax of ``q / alpha``.

    Parameters
    ----------
    q
        Soft Q values, shape (..., A_i).
    alpha
        Entropy coefficient, greater than 0.
    legal
        Which actions may be taken, of the shape of the last axes of ``q``; all by default.
    """
    values = checks.finite(q, "q")
    if values.shape[-1:] in ((), (0,)):
        raise ValueError(f"q must have shape (..., A_i) with A_i >= 1, got {values.shape}")
    if legal is None:
        allowed = np.ones(values.shape[-1:], dtype=bool)
    else:
        allowed = checks.truths(legal, "legal", values.shape[values.ndim - np.ndim(legal) :])
    if not allowed.all():  # values of others must not matter for what is representable
        largest = np.where(allowed, values, -np.inf).max(axis=-1, keepdims=True)
        values = np.where(allowed, values, largest)
    logits, _ = _logits(values, checks.positive(alpha, "alpha"))
    if not allowed.all():
        logits = np.where(allowed, logits, -np.inf)
    return np.asarray(np.exp(log_softmax(logits, axis=-1)))


def soft_maximum(q: FloatArray, alpha: float) -> FloatArray:
    """The value of an improved policy, alpha ln sum_a exp(q(a) / alpha), over the last axis."""
    logits, shift = _logits(q, alpha)
    return np.asarray(shift + alpha * logsumexp(logits, axis=-1))


def _logits(q: FloatArray, alpha: float) -> tuple[FloatArray, FloatArray | float]:
    """``q / alpha`` and 0; where that is too large, the same of q less its maximum, and this."""
    with np.errstate(over="ignore"):
        logits = q / alpha
        if not np.isinf(logits).any():
            return logits, 0.0
        largest = q.max(axis=-1)
        return (q - largest[..., None]) / alpha, largest


def joint_probabilities(
    dynamics: Dynamics, policies: Sequence[FloatArray], leave_out: int | None = None
) -> FloatArray:
    """``pi(a|s)``, the product of the agents' policies (Definition 3.2), shape (S, A).

    With an agent left out it is ``pi^-i(a^-i|s)``, whatever that agent's part of a.
    """
    product = np.ones((dynamics.n_states, dynamics.n_joint_actions))
    for i, (policy, own) in enumerate(zip(policies, dynamics.own_actions, strict=True)):
        if i != leave_out:
            product *= policy[:, own]
    return product


def state_transitions(dynamics: Dynamics, probabilities: FloatArray) -> csr_array:
    """The chain of states, shape (S, S), under joint action probabilities (S, A), sparse."""
    states, joint = probabilities.shape
    average = csr_array(
        (probabilities.ravel(), np.arange(states * joint), np.arange(states + 1) * joint),
        shape=(states, states * joint),
    )
    return csr_array(average @ dynamics.transitions)


def dense_state_transitions(dynamics: Dynamics, probabilities: FloatArray) -> FloatArray:
    """The same as a dense array, which is quicker to get as long as there are few states."""
    return _summed_moves(dynamics, probabilities, np.zeros(dynamics.n_joint_actions, dtype=int), 1)


def expectation_over_opponents(
    dynamics: Dynamics, policies: Sequence[FloatArray], agent: int
) -> csr_array:
    """E over a^-i ~ pi^-i as a matrix from (s, a) to (s, a^i), shape (S * A_i, S * A).

    The agent's own policy is not used. Rows are NaN where an opponent's policy is.
    """
    states, joint, own = dynamics.n_states, dynamics.n_joint_actions, dynamics.actions[agent]
    weights = joint_probabilities(dynamics, policies, leave_out=agent)
    by_own = _by_own_action(dynamics, agent)
    columns = np.arange(states)[:, None] * joint + by_own
    matrix = csr_array(
        (weights[:, by_own].ravel(), columns.ravel(), np.arange(states * own + 1) * (joint // own)),
        shape=(states * own, states * joint),
    )
    matrix.eliminate_zeros()
    return matrix


def over_opponents(
    dynamics: Dynamics, policies: Sequence[FloatArray], agent: int, values: FloatArray
) -> FloatArray:
    """E over a^-i ~ pi^-i of values (S, A), shape (S, A_i); NaN where an opponent's policy is."""
    weighted = joint_probabilities(dynamics, policies, leave_out=agent) * values
    grouped = weighted[:, _by_own_action(dynamics, agent)]
    each = grouped.reshape(dynamics.n_states, dynamics.actions[agent], -1)
    return np.asarray(each.sum(axis=2))


def _by_own_action(dynamics: Dynamics, agent: int) -> IntArray:
    """Joint actions (A,), those with the same action of the agent next to each other."""
    return np.argsort(dynamics.own_actions[agent], kind="stable")


def own_transitions(dynamics: Dynamics, policies: Sequence[FloatArray], agent: int) -> csr_array:
    """``P(s'|s, a^i)`` while the others keep to their policies, shape (S * A_i, S)."""
    return csr_array(expectation_over_opponents(dynamics, policies, agent) @ dynamics.transitions)


def dense_own_transitions(
    dynamics: Dynamics, policies: Sequence[FloatArray], agent: int
) -> FloatArray:
    """The same as a dense array, which is quicker to get as long as there are few states."""
    weights = joint_probabilities(dynamics, policies, leave_out=agent)
    own = dynamics.own_actions[agent]
    return _summed_moves(dynamics, weights, own, dynamics.actions[agent])


def _summed_moves(
    dynamics: Dynamics, weights: FloatArray, group: IntArray, groups: int
) -> FloatArray:
    """Weights (S, A) times P(s'|s, a), summed over joint actions of a group, (S * groups, S)."""
    states, moves = dynamics.n_states, dynamics.transitions
    rows = (np.arange(states)[:, None] * groups + group).ravel()
    many = np.diff(moves.indptr)
    sums = np.bincount(
        np.repeat(rows, many) * states + moves.indices,
        np.repeat(weights.ravel(), many) * moves.data,
        minlength=states * groups * states,
    )
    return np.asarray(sums, dtype=np.float64).reshape(states * groups, states)


def induced_mdp(game: MarkovGame, policies: Sequence[npt.ArrayLike], agent: int) -> MarkovGame:
    """The decision process that ``agent`` faces while the others keep to their policies.

    Definition 4.3 of MA-LfL, with the sum over a^-i and the condition on s that it leaves out.

    Parameters
    ----------
    policies
        A joint policy, one (S, A_i) array an agent; ``policies[agent]`` is not used.

    Returns
    -------
    MarkovGame
        A game of one agent.
    """
    agent, joint_policy = _checked(game, policies, agent)
    return MarkovGame(
        actions=(game.actions[agent],),
        transitions=own_transitions(game, joint_policy, agent),
        rewards=[over_opponents(game, joint_policy, agent, game.joint_reward(agent))],
        start=game.start,
        gamma=game.gamma,
        ends=game.ends,
        legal=[game.legal[agent]],
    )


def soft_value(
    game: MarkovGame, policies: Sequence[npt.ArrayLike], agent: int, alpha: float
) -> FloatArray:
    """V(s) = E_pi[Q(s, a)] + alpha H(pi^i(.|s)), shape (S,): what Eq. 1 is from state s on.

    Solved directly up to `DENSE_STATES` states and where episodes end, by iteration else: then no
    value is off by more than `TOLERANCE` times the largest one. `soft_value_error` tells by how
    much at most.

    Raises
    ------
    ValueError
        If gamma is too close to 1 for the iteration to get there.
    """
    agent, joint_policy = _checked(game, policies, agent)
    (value,) = _soft_values(game, joint_policy, [agent], alpha)
    return np.asarray(value)


def soft_value_error(
    game: MarkovGame,
    policies: Sequence[npt.ArrayLike],
    agent: int,
    alpha: float,
    value: npt.ArrayLike,
) -> float:
    """A bound on how far ``value`` (S,) is from V in any state.

    It is the largest change by one more backup, and what its rounding can hide, over 1 - gamma:
    backups shrink distances by gamma. Where episodes end, it is times the largest discounted number
    of steps until then, if that is less.
    """
    agent, joint_policy = _checked(game, policies, agent)
    probabilities = joint_probabilities(game, joint_policy)
    (gain,) = _gains(game, joint_policy, probabilities, [agent], alpha)
    chain = state_transitions(game, probabilities)
    return _error(chain, gain, game, _checked_value(game, value), _horizon(game, chain))


def soft_q(
    game: MarkovGame, policies: Sequence[npt.ArrayLike], agent: int, alpha: float
) -> FloatArray:
    """Soft Q over joint actions (Eq. 2 and 3), shape (S, A).

    Parameters
    ----------
    policies
        A joint policy, one (S, A_i) array an agent.
    alpha
        Entropy coefficient, greater than 0.
    """
    value = soft_value(game, policies, agent, alpha)
    return _backup(game, agent, value)


def marginal_soft_q(
    game: MarkovGame, policies: Sequence[npt.ArrayLike], agent: int, alpha: float
) -> FloatArray:
    """Soft Q over the agent's own actions (Eq. 5): E over a^-i ~ pi^-i of `soft_q`, (S, A_i)."""
    return marginal_backup(game, policies, agent, soft_value(game, policies, agent, alpha))


def marginal_backup(
    game: MarkovGame, policies: Sequence[npt.ArrayLike], agent: int, value: FloatArray
) -> FloatArray:
    """E over a^-i ~ pi^-i of R(s, a) + gamma E[value(s')], shape (S, A_i).

    Parameters
    ----------
    value
        Of the states, (S,).
    """
    agent, joint_policy = _checked(game, policies, agent)
    q = _backup(game, agent, _checked_value(game, value))
    return over_opponents(game, joint_policy, agent, q)


def soft_return(
    game: MarkovGame, policies: Sequence[npt.ArrayLike], agent: int, alpha: float
) -> float:
    """The entropy-regularised objective J_soft of Eq. 1, from the start distribution."""
    value = soft_value(game, policies, agent, alpha)
    return float(game.start @ value)


def improve_all(
    game: MarkovGame, policies: Sequence[npt.ArrayLike], alpha: float
) -> tuple[Policies, Policies]:
    """Exact soft Q of every agent, and their simultaneous improvements (Assumption 4.5).

    Returns
    -------
    (q, policies)
        Each one (S, A_i) array an agent.
    """
    _, joint_policy = _checked(game, policies)
    values = _soft_values(game, joint_policy, range(game.n_agents), alpha)
    q = tuple(
        over_opponents(game, joint_policy, i, _backup(game, i, value))
        for i, value in enumerate(values)
    )
    return q, tuple(improve(one, alpha, legal) for one, legal in zip(q, game.legal, strict=True))


@dataclass(frozen=True, eq=False)
class SoftOptimum:
    """The best that one agent can do: soft values, policy, and how far from a fixed point."""

    policy: FloatArray  #: (S, A)
    q: FloatArray  #: (S, A)
    value: FloatArray  #: (S,)
    residual: float  #: largest change of the value by one more soft Bellman backup


def soft_optimum(mdp: MarkovGame, alpha: float, tolerance: float = 1e-10) -> SoftOptimum:
    """Optimal soft policy of a game of one agent, by exact soft policy iteration.

    For the best response of an agent among others, pass its `induced_mdp`.

    Parameters
    ----------
    alpha
        Entropy coefficient, greater than 0.
    tolerance
        Largest residual of the soft Bellman equation, relative to the largest value or soft Q.

    Raises
    ------
    ValueError
        If the game has more than one agent, or the tolerance is not met in 1000 improvements.
    """
    checks.instance(mdp, MarkovGame, "mdp", "with rewards; see induced_mdp")
    if checks.positive(tolerance, "tolerance") >= 1:
        raise ValueError(f"tolerance must be less than 1, got {tolerance:g}")
    if mdp.n_agents != 1:
        raise ValueError(f"mdp must have one agent, got {mdp.n_agents}; see induced_mdp")
    policies = mdp.uniform_policies()
    for _ in range(1000):
        progress.advance()
        value = soft_value(mdp, policies, 0, alpha)
        q = _backup(mdp, 0, value)
        policies = (improve(q, alpha, mdp.legal[0]),)
        best = soft_maximum(np.where(mdp.legal[0], q, -np.inf), alpha)
        residual = float(np.abs(best - value).max())
        size = max(float(np.abs(value).max()), float(np.abs(q).max()))
        if residual <= tolerance * size:
            return SoftOptimum(policies[0], q, value, residual)
    raise ValueError(
        f"tolerance must be larger in this game, where rounding leaves {residual / size:.2g}, got "
        f"{tolerance:g}"
    )


def _checked(
    game: MarkovGame, policies: Sequence[npt.ArrayLike], agent: int = 0
) -> tuple[int, Policies]:
    """An agent and a joint policy; raises unless they are of the game, and this has rewards."""
    checks.instance(game, MarkovGame, "game", "with rewards")
    return game.check_agent(agent), game.check_policies(policies)


def _checked_value(game: MarkovGame, value: npt.ArrayLike) -> FloatArray:
    claimed = checks.finite(value, "value")
    if claimed.shape != (game.n_states,):
        raise ValueError(f"value must have shape {(game.n_states,)}, got {claimed.shape}")
    return claimed


def _backup(game: MarkovGame, agent: int, value: FloatArray) -> FloatArray:
    """R(s, a) + gamma E[V(s')], shape (S, A)."""
    future = (game.transitions @ value).reshape(game.n_states, -1)
    return np.asarray(game.joint_reward(agent) + game.gamma * future)


def _soft_values(
    game: MarkovGame, policies: Policies, agents: Sequence[int], alpha: float
) -> FloatArray:
    """V of some agents, shape (agents, S), from one linear system."""
    probabilities = joint_probabilities(game, policies)
    gains = _gains(game, policies, probabilities, agents, alpha)
    states = game.n_states
    if states <= DENSE_STATES:
        dense = dense_state_transitions(game, probabilities)
        return np.asarray(solve(np.eye(states) - game.gamma * dense, gains.T).T)
    chain = state_transitions(game, probabilities)
    matrix = csr_array(eye_array(states, format="csr") - game.gamma * chain)
    if game.ends.any():
        return np.asarray(splu(matrix.tocsc()).solve(gains.T).T)
    return np.array([_iterate(matrix, chain, gain, game) for gain in gains])


def _gains(
    game: MarkovGame,
    policies: Policies,
    probabilities: FloatArray,
    agents: Sequence[int],
    alpha: float,
) -> FloatArray:
    """Expected reward and entropy of some agents in each state, shape (agents, S)."""
    alpha = checks.positive(alpha, "alpha")
    with np.errstate(over="ignore", invalid="ignore"):
        gains = np.array(
            [
                (probabilities * game.joint_reward(i)).sum(axis=1) + alpha * entropy(policies[i])
                for i in agents
            ]
        )
        representable = np.isfinite(np.abs(gains).max() / ((1 - game.gamma) or 1.0))
    if not representable:
        reward = max(float(np.abs(game.rewards[i]).max()) for i in agents)
        raise ValueError(
            f"alpha and rewards must leave values that can be represented, got alpha = {alpha:g}, "
            f"rewards up to {reward:g} and gamma = {game.gamma:g}; divide both by some number"
        )
    return gains


def _iterate(matrix: csr_array, chain: csr_array, gain: FloatArray, game: MarkovGame) -> FloatArray:
    """Solve (I - gamma P) v = r to `TOLERANCE`: BiCGSTAB on what is left of the equation."""
    value, gamma = np.zeros_like(gain), game.gamma
    horizon = 1 / (1 - gamma)
    error = _error(chain, gain, game, value, horizon)
    for _ in range(ROUNDS):
        if error <= TOLERANCE * np.abs(value).max():
            break
        step, _ = bicgstab(matrix, gain - matrix @ value, rtol=1e-6, maxiter=1000)
        better = value + step
        if not _error(chain, gain, game, better, horizon) < error / 2:
            # It broke down, which is rare. Plain backups always get nearer.
            better = value
            for _ in range(1000):
                better = gain + gamma * (chain @ better)
        value, error = better, _error(chain, gain, game, better, horizon)
    if error > TOLERANCE * np.abs(value).max():
        raise ValueError(
            f"gamma must be further from 1 in a game so large, got {gamma}: soft values are still "
            f"up to {error:.3g} off"
        )
    return value


def _horizon(game: MarkovGame, chain: csr_array) -> float:
    """The largest discounted number of steps that an episode still takes, or a bound on it."""
    if not game.ends.any():
        return 1 / (1 - game.gamma)
    matrix = eye_array(game.n_states, format="csc") - game.gamma * chain.tocsc()
    return float(splu(matrix).solve(np.ones(game.n_states)).max())


def _error(
    chain: csr_array,
    gain: FloatArray,
    game: MarkovGame,
    value: FloatArray,
    horizon: float,
) -> float:
    """How far a value can be from the solution: its change by one backup, times the horizon."""
    # Each number of a backup is a sum of so many, and so is each of the chain and the gain.
    added = game.n_joint_actions + int(np.diff(chain.indptr).max()) + 4
    with np.errstate(over="ignore"):  # infinite then, as it should be
        change = np.abs(gain + game.gamma * (chain @ value) - value).max()
        rounding = added * np.finfo(np.float64).eps * (np.abs(gain).max() + np.abs(value).max())
        return float((change + rounding) * horizon)
