"""Learners that are not malfl's, as outside users have them: plain loops that write a table."""

import numpy as np
import pandas as pd

STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))


def grid_rules(side, slip=0.1):
    """Transitions (S, 4, S) of a square grid; with some probability any step is taken."""
    states = side * side
    odds = np.zeros((states, 4, states))
    for s in range(states):
        row, column = divmod(s, side)
        ends = [
            min(max(row + down, 0), side - 1) * side + min(max(column + right, 0), side - 1)
            for down, right in STEPS
        ]
        for a in range(4):
            odds[s, a, ends[a]] += 1 - slip
            for end in ends:
                odds[s, a, end] += slip / 4
    return odds


def softmax(logits):
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return odds / odds.sum(axis=-1, keepdims=True)


class World:
    """Odds of next states and a reward of the state; episodes begin anywhere but in an end."""

    def __init__(self, odds, reward, seed, gamma=0.9, end=None):
        self.odds, self.reward, self.gamma, self.end = odds, reward, gamma, end
        self.rng = np.random.default_rng(seed)
        self.states, self.actions = odds.shape[:2]
        self.edges = odds.cumsum(axis=2)

    def begin(self):
        free = [s for s in range(self.states) if s != self.end]
        return int(self.rng.choice(free))

    def act(self, odds):
        return min(int(np.searchsorted(odds.cumsum(), self.rng.random())), self.actions - 1)

    def move(self, s, a):
        return min(int(np.searchsorted(self.edges[s, a], self.rng.random())), self.states - 1)

    def episode(self, policy, longest):
        """Rows (state, action, next state) by a policy (S, A)."""
        rows, s = [], self.begin()
        for _ in range(longest):
            a = self.act(policy[s])
            after = self.move(s, a)
            rows.append((s, a, after))
            s = after
            if s == self.end:
                break
        return rows


def table(iterations, end=None):
    """Rows of `read_log` from a list of episodes for each iteration."""
    rows = [
        (h, k, t, s, a, after, after == end)
        for h, episodes in enumerate(iterations)
        for k, episode in enumerate(episodes)
        for t, (s, a, after) in enumerate(episode)
    ]
    names = ["iteration", "episode", "step", "state", "action", "next_state", "ended"]
    return pd.DataFrame(rows, columns=names)


def soft_learner(world, *, alpha, beta, iterations, episodes, longest):
    """Soft temporal differences from zero under each policy, then a softmax; ragged episodes."""
    policy, played = np.full((world.states, world.actions), 1 / world.actions), []
    for _ in range(iterations):
        q = np.zeros_like(policy)
        if world.end is not None:
            q[world.end] = world.reward[world.end]
        played.append([])
        for _ in range(episodes):
            episode = world.episode(policy, int(world.rng.integers(1, longest + 1)))
            played[-1].append(episode)
            for s, a, after in episode:
                ahead = world.reward[after]
                if after != world.end:
                    b = world.act(policy[after])
                    ahead = q[after, b] - alpha * np.log(policy[after, b])
                q[s, a] += beta * (world.reward[s] + world.gamma * ahead - q[s, a])
        policy = softmax(q / alpha)
    return table(played, world.end)


def reinforce(world, *, rate, iterations, episodes, longest):
    """Policy gradient by returns, a step an iteration."""
    theta, played = np.zeros((world.states, world.actions)), []
    for _ in range(iterations):
        policy, gradient = softmax(theta), np.zeros_like(theta)
        played.append([world.episode(policy, longest) for _ in range(episodes)])
        returns = []
        for episode in played[-1]:
            gains, total = [], 0.0
            for s, _, _ in reversed(episode):
                total = world.reward[s] + world.gamma * total
                gains.append(total)
            returns.append(gains[::-1])
        baseline = np.mean([gain for gains in returns for gain in gains])
        for episode, gains in zip(played[-1], returns, strict=True):
            for (s, a, _), gain in zip(episode, gains, strict=True):
                gradient[s] -= (gain - baseline) * policy[s]
                gradient[s, a] += gain - baseline
        theta += rate * gradient / episodes
    return table(played)


def actor_critic(world, *, rate, critic, iterations, episodes, longest):
    """An actor that follows the errors of a critic, step by step; logged by iterations."""
    theta, value, played = np.zeros((world.states, world.actions)), np.zeros(world.states), []
    for _ in range(iterations):
        policy = softmax(theta)
        played.append([world.episode(policy, longest) for _ in range(episodes)])
        for episode in played[-1]:
            for s, a, after in episode:
                error = world.reward[s] + world.gamma * value[after] - value[s]
                value[s] += critic * error
                theta[s] -= rate * error * policy[s]
                theta[s, a] += rate * error
    return table(played)


def sarsa(world, *, beta, epsilon, iterations, episodes, longest):
    """Epsilon-greedy SARSA, whose policy changes after every step; logged by windows."""
    q, played = np.zeros((world.states, world.actions)), []
    for _ in range(iterations):
        played.append([])
        for _ in range(episodes):
            rows, s = [], world.begin()
            a = _greedy(world, q[s], epsilon)
            for _ in range(longest):
                after = world.move(s, a)
                b = _greedy(world, q[after], epsilon)
                q[s, a] += beta * (world.reward[s] + world.gamma * q[after, b] - q[s, a])
                rows.append((s, a, after))
                s, a = after, b
            played[-1].append(rows)
    return table(played)


def _greedy(world, values, epsilon):
    if world.rng.random() < epsilon:
        return int(world.rng.integers(world.actions))
    return int(np.argmax(values))
