"""How far apart two rewards of one agent are, whatever their scale and shaping.

The opponents keep to their policies, so the agent faces a decision process of its own (MA-LfL,
Definition 4.3). Adding a shaping g(s) - gamma g(s') to a reward there, or scaling it by a positive
number, changes no preference between policies. Correlations see such changes, these distances do
not.

Both distances bring the rewards to a canonical form that is linear in the reward, divide it by its
length, and halve the length of the difference. By linearity, that is the canonical form of the
difference of the scaled rewards: all that is needed is each form's length.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array, eye_array
from scipy.sparse.linalg import splu

from malfl import checks, progress
from malfl.checks import FloatArray
from malfl.games.markov import Dynamics, Policies
from malfl.games.soft import joint_probabilities, over_opponents, own_transitions, state_transitions

ROUNDING = 1e-10  # canonical forms shorter than this share of the largest reward are rounding


def epic(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    dynamics: Dynamics,
    policies: Sequence[npt.ArrayLike],
    agent: int,
) -> float:
    """EPIC distance (Gleave et al. 2021, Section 4) of two rewards of ``agent``, in [0, 1].

    The Pearson distance sqrt((1 - correlation) / 2) of the canonically shaped rewards C(R) =
    R(s, a, s') + E[gamma R(s', A, S') - R(s, A, S') - gamma R(S, A, S')], where a is the agent's
    own action and all of s, a, s', S, A, S' are uniform. Transitions that the game does not allow
    count like any other.

    Parameters
    ----------
    a, b
        Rewards of shape (S,), (S, A_i) over own actions, (S, A) over joint actions, averaged over
        the opponents' policies, or (S, A_i, S) over own actions and next states.
    policies
        A joint policy, one (S, A_i) array an agent; ``policies[agent]`` is not used.

    Raises
    ------
    ValueError
        If a reward has another shape, is NaN or infinite, or is nothing but a shaping.
    """
    checks.instance(dynamics, Dynamics, "dynamics", "or a MarkovGame")
    agent, joint_policy = dynamics.check_agent(agent), dynamics.check_policies(policies)

    def length(reward: FloatArray) -> float:
        # C(R) has mean 0, so its correlations are cosines. It is split into what depends on s'
        # alone and a rest orthogonal to it: no array is larger than the reward.
        expected = reward.mean(axis=(1, 2))
        rest = reward - expected[:, None, None]
        ahead = rest.mean(axis=(0, 1))
        rest -= ahead
        ahead = ahead + dynamics.gamma * (expected - expected.mean())
        return float(np.hypot(_root_mean_square(rest), _root_mean_square(ahead)))

    first = _unit(_own(a, "a", dynamics, joint_policy, agent), "a", length)
    second = _unit(_own(b, "b", dynamics, joint_policy, agent), "b", length)
    return min(length(first - second) / 2, 1.0)


@progress.interruptible
def starc(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    dynamics: Dynamics,
    policies: Sequence[npt.ArrayLike],
    agent: int,
) -> float:
    """A STARC distance (Skalse et al. 2024) of two rewards of ``agent``, in [0, 1].

    Canonical is value-adjusted levelling, E[R(s, a, s') + gamma V(s')] - V(s), with the agent's
    own action a and the values V, without entropy, of its uniform policy. The norm and the metric
    are Euclidean, the distance is halved. Only actions and transitions that the game
    allows count.

    Parameters
    ----------
    a, b
        As in `epic`.
    policies
        A joint policy, one (S, A_i) array an agent; ``policies[agent]`` is not used.

    Raises
    ------
    ValueError
        As `epic` does. An agent with a single action has no reward but shapings.
    """
    checks.instance(dynamics, Dynamics, "dynamics", "or a MarkovGame")
    agent, joint_policy = dynamics.check_agent(agent), dynamics.check_policies(policies)
    moves = own_transitions(dynamics, joint_policy, agent)
    own = dynamics.uniform_policies()[agent]
    others = joint_probabilities(dynamics, joint_policy, leave_out=agent)
    chain = state_transitions(dynamics, others * own[:, dynamics.own_actions[agent]])
    legal = dynamics.legal[agent]
    system = splu(csc_array(eye_array(dynamics.n_states) - dynamics.gamma * chain))

    def length(reward: FloatArray) -> float:
        value = system.solve((own * reward).sum(axis=1))
        future = (moves @ value).reshape(reward.shape)
        return _root_mean_square((reward + dynamics.gamma * future - value[:, None])[legal])

    def expected(reward: npt.ArrayLike, name: str) -> FloatArray:
        own = _own(reward, name, dynamics, joint_policy, agent)
        if own.shape[2] == 1:
            return own[:, :, 0]
        seen = moves.multiply(own.reshape(moves.shape)).sum(axis=1)
        return np.asarray(seen, dtype=np.float64).reshape(own.shape[:2])

    first, second = (_unit(expected(r, name), name, length) for r, name in ((a, "a"), (b, "b")))
    return min(length(first - second) / 2, 1.0)


def _own(
    reward: npt.ArrayLike, name: str, dynamics: Dynamics, policies: Policies, agent: int
) -> FloatArray:
    """R(s, a^i, s') of shape (S, A_i, S), or (S, A_i, 1) if it does not depend on s'."""
    array = checks.finite(reward, name)
    states, own, joint = dynamics.n_states, dynamics.actions[agent], dynamics.n_joint_actions
    if array.shape == (states,):
        return np.tile(array[:, None, None], (1, own, 1))
    if array.shape == (states, own, states):
        return array
    if array.shape == (states, own):
        return array[:, :, None]
    if array.shape == (states, joint):
        return over_opponents(dynamics, policies, agent, array).reshape(states, own, 1)
    raise ValueError(
        f"{name} must have shape {(states,)}, {(states, own)}, {(states, joint)} or "
        f"{(states, own, states)}, got {array.shape}"
    )


def _unit(reward: FloatArray, name: str, length: Callable[[FloatArray], float]) -> FloatArray:
    """The reward scaled until its canonical form has length 1."""
    largest = float(max(reward.max(), -reward.min()))
    # First to a largest entry of 1: squares of extreme rewards would overflow or vanish.
    scaled = reward / (largest or 1.0)
    size = length(scaled)
    if size <= ROUNDING:
        raise ValueError(
            f"{name} is constant up to shaping; it prefers no policy to another, and nothing is "
            "near to it or far from it"
        )
    return np.asarray(scaled / size)


def _root_mean_square(values: FloatArray) -> float:
    return float(np.sqrt(np.vdot(values, values) / values.size))
