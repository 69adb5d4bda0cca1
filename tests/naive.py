"""Slow, obvious oracles: each reads like the paper's pseudo-code and shares no code with malfl.

A game is plain here: ``next_states[s][a]`` is a list of (probability, next state), ``actions`` the
agents' action counts, ``reward[s][a]`` a number for each joint action ``a``.
"""

import itertools
import math
from fractions import Fraction

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


def alias_odds(slots, bits):
    """The probabilities that a table of ``malfl.kernels.alias`` stands for, as fractions."""
    size, words = 2**bits, 2 ** (64 - bits)
    odds = [Fraction(0)] * size
    for k, slot in enumerate(int(slot) for slot in slots):
        leaving = min((slot - k * words) % 2**64, words)  # of the words that begin with k
        odds[k] += Fraction(words - leaving, 2**64)
        odds[k ^ slot % size] += Fraction(leaving, 2**64)
    return odds


def look_up(word, slots, bits):
    """The outcome that a random word picks from an alias table."""
    k = word >> (64 - bits)
    slot = int(slots[k])
    below = (word - slot) % 2**64 >= 2**63
    return k ^ slot % 2**bits if below else k


def stream(keys, episode):
    """The random words of an episode, from NumPy's generator."""
    words = np.random.SFC64()
    state = words.state
    state["state"]["state"] = np.array([*keys, episode, 1], dtype=np.uint64)
    words.state = state
    words.random_raw(12)
    return words


def play(game, policies, episodes, steps, rng, table, jointly):
    """Episodes as ``malfl.play`` describes them: states, joint actions, and those drawn ahead.

    ``table`` turns probabilities into an alias table and its bits. A word each draws the start, the
    joint action (or each agent's own) and, in a stochastic game, the next state.
    """
    next_states, _ = plain(game)
    stochastic = any(len(options) > 1 for rows in next_states for options in rows)
    joints = joint_actions(game.actions)

    def act(words, s):
        if jointly:
            return look_up(words[0], *table([probability(policies, s, joint) for joint in joints]))
        return joints.index(
            tuple(
                look_up(word, *table(policy[s]))
                for word, policy in zip(words, policies, strict=True)
            )
        )

    keys = rng.integers(2**64, size=2, dtype=np.uint64)
    states = np.zeros((episodes, steps + 1), dtype=int)
    actions, ahead = np.zeros((2, episodes, steps), dtype=int)
    for e in range(episodes):
        source = stream(keys, e)
        states[e, 0] = s = look_up(source.random_raw(), *table(game.start))
        for t in range(steps):
            words = [source.random_raw() for _ in range(1 if jointly else game.n_agents)]
            actions[e, t] = a = act(words, s)
            odds, options = zip(*next_states[s][a], strict=True)
            k = look_up(source.random_raw(), *table(odds)) if stochastic else 0
            states[e, t + 1] = s = options[k]
            ahead[e, t] = act([word % 2**32 * 2**32 + word // 2**32 for word in words], s)
    return states, actions, ahead


def soft_td(game, policies, agent, alpha, beta, states, actions, ahead, executed):
    """Algorithm 1's evaluation of one agent along given trajectories.

    The next action is the one drawn ahead or, if ``executed``, the one of the step that follows.
    """
    _, rewards = plain(game)
    joints = joint_actions(game.actions)
    q = np.zeros((game.n_states, game.actions[agent]))
    for visited, taken, drawn in zip(states, actions, ahead, strict=True):
        for t, a in enumerate(taken):
            s, s_next = visited[t], visited[t + 1]
            follows = executed and t + 1 < len(taken)
            a_next = joints[taken[t + 1] if follows else drawn[t]][agent]
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


def count_moments(game, policies, steps):
    """Expectation and covariance of one episode's counts of (s, a), in the order of s * A + a."""
    next_states, _ = plain(game)
    joints = joint_actions(game.actions)
    pairs = [(s, a) for s in range(game.n_states) for a in range(len(joints))]
    odds = np.array([probability(policies, s, joints[a]) for s, a in pairs])
    move = np.zeros((len(pairs), len(pairs)))
    for x, (s, a) in enumerate(pairs):
        for p, after in next_states[s][a]:
            for y, (z, _) in enumerate(pairs):
                move[x, y] += p * odds[y] * (z == after)
    now = [np.array([game.start[s] for s, _ in pairs]) * odds]
    for _ in range(steps - 1):
        now.append(now[-1] @ move)
    mean = sum(now)
    later, products = np.zeros_like(move), np.zeros_like(move)
    for here in reversed(now):
        products += np.diag(here) + here[:, None] * later + (here[:, None] * later).T
        later = move + move @ later  # the expected counts of what is left, from each pair
    return mean, products - np.outer(mean, mean)


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


def algorithm_1(game, policies, episodes, steps, alpha=3.0, beta=0.1, seed=0):
    """Algorithm 1 of MA-LfL up to the improvement: joint counts, and every agent's soft Q."""
    next_states, rewards = plain(game)
    joints = joint_actions(game.actions)
    rng = np.random.default_rng(seed)
    counts = np.zeros((game.n_states, game.n_joint_actions), dtype=int)
    q = [np.zeros((game.n_states, n)) for n in game.actions]
    for _ in range(episodes):
        s = rng.choice(game.n_states, p=game.start)
        for _ in range(steps):
            joint = tuple(rng.choice(len(policy[s]), p=policy[s]) for policy in policies)
            a = joints.index(joint)
            odds, options = zip(*next_states[s][a], strict=True)
            s_next = rng.choice(options, p=odds)
            counts[s, a] += 1
            for i, own in enumerate(joint):
                a_next = rng.choice(len(policies[i][s_next]), p=policies[i][s_next])
                bonus = -alpha * math.log(policies[i][s_next][a_next])
                target = rewards[i][s][a] + game.gamma * (q[i][s_next, a_next] + bonus)
                q[i][s, own] = q[i][s, own] + beta * (target - q[i][s, own])
            s = s_next
    return counts, q
