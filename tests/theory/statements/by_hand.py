"""Games to try statements on, a way to spoil them, and slow oracles of what is compared."""

import copy
import itertools
import math
from functools import cache

import naive
import numpy as np

from malfl import MarkovGame
from malfl.theory.random_games import random_predictions

CACHED = (
    "process", "reward", "error", "q_error", "everyone_after", "joint_q", "q", "optimum", "logs",
    "change", "divergence", "canonical",
)  # fmt: skip


@cache
def among_others():
    return tuple(random_predictions(200, seed=1))


@cache
def alone():
    return tuple(random_predictions(200, seed=2, agents=(1, 1)))


@cache
def rich():
    """Games without special cases: in each of these a wrong statement should show."""
    return _rich(3, (2, 3), "joint-action")


@cache
def rich_alone():
    """The same for one agent."""
    return _rich(4, (1, 1), "state-action")


def _rich(seed, agents, reward_class):
    games = random_predictions(
        40, seed=seed, agents=agents, states=(2, 4), actions=(2, 3), gammas=(0.6, 0.9),
        alphas=(0.5, 2.0), scales=(0.5, 2.0), errors=(0.5, 2.0), sinks=0.0, spreads=(1.0,),
        reward_classes=(reward_class,),
    )  # fmt: skip
    return tuple(p for p in games if min(policy.min() for policy in p.policies) > 1e-3)[:12]


def spoiled(prediction, **wrong):
    """A copy in which these are wrong, and everything that usually follows from them is not."""
    for name in CACHED:
        getattr(prediction, name)
    result = copy.copy(prediction)
    if "process" in wrong:
        wrong["moves"] = wrong["process"].transitions.toarray()
        wrong["reward"] = wrong["process"].rewards[0]
    result.__dict__.update(wrong)
    return result


def changed(game, **values):
    """The game with something else in place of its actions, transitions, rewards or gamma."""
    kept = {name: getattr(game, name) for name in ("actions", "transitions", "start", "gamma")}
    return MarkovGame(**{**kept, "rewards": game.rewards, **values})


def nudge(array):
    """A millionth here and there, which no constant and no function of the state makes up for."""
    wave = np.sin(1.0 + np.arange(np.size(array))).reshape(np.shape(array))
    return array + 1e-6 * np.abs(array).max() * wave


def joint_reward(prediction):
    return prediction.game.joint_reward(prediction.agent).tolist()


@cache
def q_before(prediction):
    return q(prediction, prediction.policies)


def q(prediction, policies=None):
    """Soft Q of own actions, from a plain iteration."""
    game, agent, alpha = prediction.game, prediction.agent, prediction.alpha
    if policies is None:
        return q_before(prediction)
    return naive.over_opponents(game, policies, agent, naive.soft_q(game, policies, agent, alpha))


@cache
def improved(prediction):
    """Everyone's soft improvement."""
    game, policies, alpha = prediction.game, prediction.policies, prediction.alpha
    return [
        naive.improve(
            naive.over_opponents(game, policies, i, naive.soft_q(game, policies, i, alpha)), alpha
        )
        for i in range(game.n_agents)
    ]


def values(prediction, policies):
    """Every agent's soft values V(s)."""
    game, alpha = prediction.game, prediction.alpha
    result = []
    for i in range(game.n_agents):
        own = naive.over_opponents(game, policies, i, naive.soft_q(game, policies, i, alpha))
        rows = zip(policies[i], own, strict=True)
        result.append(
            [
                sum(p * x for p, x in zip(row, mine, strict=True)) + alpha * naive.entropy(row)
                for row, mine in rows
            ]
        )
    return result


def new_action_q(prediction, sweeps=3000):
    """Eq. 5 as an assignment: next own actions from pi_new, entropies of pi."""
    game, agent, alpha = prediction.game, prediction.agent, prediction.alpha
    next_states, rewards = naive.plain(game)
    joints = naive.joint_actions(game.actions)
    follows = list(prediction.policies)
    follows[agent] = naive.improve(q(prediction), alpha)
    value = [0.0] * game.n_states
    for _ in range(sweeps):
        joint_q = [
            [
                rewards[agent][s][a] + game.gamma * sum(p * value[t] for p, t in next_states[s][a])
                for a in range(len(joints))
            ]
            for s in range(game.n_states)
        ]
        value = [
            sum(
                naive.probability(follows, s, joint) * joint_q[s][a]
                for a, joint in enumerate(joints)
            )
            + alpha * naive.entropy(prediction.policy[s])
            for s in range(game.n_states)
        ]
    return naive.over_opponents(game, prediction.policies, agent, joint_q)


def greedy_sides(prediction, weight):
    """For each state, the best E[Q] + weight H of the policies compared, and that of pi_new."""
    own = q(prediction)
    sides = []
    for s, row in enumerate(own):
        new = naive.improve([row], prediction.alpha)[0]
        certain = [[float(a == b) for a in range(len(row))] for b in range(len(row))]
        others = [prediction.policy[s], [1 / len(row)] * len(row), certain[int(np.argmax(row))]]
        others += [
            [0.9 * p + 0.1 * c for p, c in zip(new, corner, strict=True)] for corner in certain
        ]

        def worth(policy, row=row):
            gained = sum(p * (x - min(row)) for p, x in zip(policy, row, strict=True))
            return gained + weight * naive.entropy(policy)

        sides.append((max(map(worth, others)), worth(new)))
    return sides


def hidden_rewards(game):
    """Dimension of the rewards of the state that are some shaping, by the rank of all equations."""
    next_states, _ = naive.plain(game)
    rows = []
    for s, a in itertools.product(range(game.n_states), range(game.n_joint_actions)):
        reward, shaping = np.zeros((2, game.n_states))
        reward[s] = 1.0
        shaping[s] += 1.0
        for p, t in next_states[s][a]:
            shaping[t] -= game.gamma * p
        rows.append(np.concatenate([reward, -shaping]))
    return 2 * game.n_states - np.linalg.matrix_rank(np.array(rows))


def log_sum_exp(*numbers):
    largest = max(numbers)
    return largest + math.log(sum(math.exp(x - largest) for x in numbers))
