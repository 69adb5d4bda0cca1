"""Slow, obvious oracles: each reads like the paper's pseudo-code and shares no code with malfl.

A game is plain here: ``next_states[s][a]`` is a list of (probability, next state), ``actions`` the
agents' action counts, ``reward[s][a]`` a number for each joint action ``a``.
"""

import itertools
import math

import numpy as np


def plain(game):
    """Transitions and joint rewards of a MarkovGame as nested lists."""
    dense = game.transitions.toarray().reshape(game.n_states, game.n_joint_actions, game.n_states)
    next_states = [[[(p, s) for s, p in enumerate(row) if p > 0] for row in rows] for rows in dense]
    rewards = [game.joint_reward(i).tolist() for i in range(game.n_agents)]
    return next_states, rewards


def joint_actions(actions):
    """All joint actions in the order of their numbers: agent 0's action varies slowest."""
    return list(itertools.product(*(range(n) for n in actions)))


def probability(policies, s, joint, leave_out=None):
    """The product of the agents' probabilities of their parts of a joint action."""
    return math.prod(policies[i][s][a] for i, a in enumerate(joint) if i != leave_out)


def entropy(row):
    return -sum(p * math.log(p) for p in row if p > 0)


def soft_q(game, policies, agent, alpha, sweeps=3000):
    """Eq. 3, applied as an assignment until nothing changes."""
    next_states, rewards = plain(game)
    joints = joint_actions(game.actions)
    q = [[0.0] * len(joints) for _ in range(game.n_states)]
    for _ in range(sweeps):
        value = [
            sum(probability(policies, s, joint) * q[s][a] for a, joint in enumerate(joints))
            + alpha * entropy(policies[agent][s])
            for s in range(game.n_states)
        ]
        new = [
            [
                rewards[agent][s][a] + game.gamma * sum(p * value[t] for p, t in next_states[s][a])
                for a in range(len(joints))
            ]
            for s in range(game.n_states)
        ]
        change = max(
            abs(x - y) for rows in zip(q, new, strict=True) for x, y in zip(*rows, strict=True)
        )
        q = new
        if change < 1e-13:
            break
    return np.array(q)


def over_opponents(game, policies, agent, values):
    """E over a^-i ~ pi^-i of values[s][a], for each own action."""
    result = np.zeros((game.n_states, game.actions[agent]))
    for s in range(game.n_states):
        for a, joint in enumerate(joint_actions(game.actions)):
            result[s, joint[agent]] += probability(policies, s, joint, agent) * values[s][a]
    return result


def improve(q, alpha):
    """Eq. 6."""
    result = []
    for row in q:
        weights = [math.exp((x - max(row)) / alpha) for x in row]
        result.append([w / sum(weights) for w in weights])
    return np.array(result)


def pick(probabilities, u):
    """The first entry whose cumulative probability exceeds u."""
    total, cumulative = sum(probabilities), 0.0
    for k, p in enumerate(probabilities):
        cumulative += p
        if u < cumulative / total:
            return k
    raise AssertionError("u must be below 1")


def sample_trajectories(game, policies, episodes, steps, rng):
    """Play: a draw for the start, one for each action, one for the next state if it is open."""
    next_states, _ = plain(game)
    states, actions = [], []
    for _ in range(episodes):
        s = pick(list(game.start), rng.random())
        visited, taken = [s], []
        for _ in range(steps):
            joint = tuple(pick(list(policy[s]), rng.random()) for policy in policies)
            a = joint_actions(game.actions).index(joint)
            options = next_states[s][a]
            k = pick([p for p, _ in options], rng.random()) if len(options) > 1 else 0
            s = options[k][1]
            visited.append(s)
            taken.append(a)
        states.append(visited)
        actions.append(taken)
    return np.array(states), np.array(actions)


def soft_td(game, policies, agent, alpha, beta, states, actions, rng, executed):
    """Algorithm 1's evaluation of one agent along given trajectories."""
    _, rewards = plain(game)
    joints = joint_actions(game.actions)
    q = np.zeros((game.n_states, game.actions[agent]))
    for visited, taken in zip(states, actions, strict=True):
        for t, a in enumerate(taken):
            s, s_next = visited[t], visited[t + 1]
            if executed and t + 1 < len(taken):
                a_next = joints[taken[t + 1]][agent]
            else:
                a_next = pick(list(policies[agent][s_next]), rng.random())
            target = rewards[agent][s][a] + game.gamma * (
                q[s_next, a_next] - alpha * math.log(policies[agent][s_next][a_next])
            )
            own = joints[a][agent]
            q[s, own] = q[s, own] + beta * (target - q[s, own])
    return q


def joint_counts(game, states, actions):
    counts = np.zeros((game.n_states, game.n_joint_actions), dtype=int)
    for visited, taken in zip(states, actions, strict=True):
        for t, a in enumerate(taken):
            counts[visited[t], a] += 1
    return counts


def entropy_objective(counts, policy, lambda_):
    """Eq. 10 in one state, with the sign that gives it a maximum."""
    shares = [count / sum(counts) for count in counts]
    likelihood = sum(f * math.log(p) for f, p in zip(shares, policy, strict=True) if f > 0)
    return likelihood + lambda_ * entropy(policy)


def targets(game, policies, agent, alpha):
    """Eq. 11, with the opponents' policies before the improvement."""
    next_states, _ = plain(game)
    joints = joint_actions(game.actions)
    own = policies[agent]
    result = np.zeros((len(own) - 1, game.n_states, game.actions[agent]))
    for h in range(1, len(own)):
        before = [policy[h - 1] for policy in policies]
        kl = [
            sum(p * math.log(p / q) for p, q in zip(own[h - 1][s], own[h][s], strict=True))
            for s in range(game.n_states)
        ]
        for s in range(game.n_states):
            for a, joint in enumerate(joints):
                expected = sum(p * kl[t] for p, t in next_states[s][a])
                weight = probability(before, s, joint, agent)
                result[h - 1, s, joint[agent]] += alpha * game.gamma * weight * expected
            for a in range(game.actions[agent]):
                result[h - 1, s, a] += alpha * math.log(own[h][s][a])
    return result


def consistency_residuals(game, policies, agent, y, reward, shapings):
    """The error e_h(s, a^i) of Eq. 12; ``reward[s][a]`` over joint actions."""
    next_states, _ = plain(game)
    residuals = -np.array(y)
    for h in range(len(y)):
        before = [policy[h] for policy in policies]
        for s in range(game.n_states):
            for a, joint in enumerate(joint_actions(game.actions)):
                weight = probability(before, s, joint, agent)
                ahead = sum(p * shapings[h][t] for p, t in next_states[s][a])
                residuals[h, s, joint[agent]] += weight * (reward[s][a] - game.gamma * ahead)
            residuals[h, s] += shapings[h][s]
    return residuals


def adam(gradient, x, steps, rate):
    """Adam as its authors state it, a number at a time."""
    x = list(x)
    m, v = [0.0] * len(x), [0.0] * len(x)
    for t in range(1, steps + 1):
        g = gradient(np.array(x))
        for k in range(len(x)):
            m[k] = 0.9 * m[k] + 0.1 * g[k]
            v[k] = 0.999 * v[k] + 0.001 * g[k] ** 2
            x[k] -= rate * (m[k] / (1 - 0.9**t)) / (math.sqrt(v[k] / (1 - 0.999**t)) + 1e-8)
    return np.array(x)
