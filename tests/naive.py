"""Slow, obvious oracles: each reads like the paper's pseudo-code and shares no code with malfl.

A game is plain here: ``next_states[s][a]`` is a list of (probability, next state), ``actions`` the
agents' action counts, ``reward[s][a]`` a number for each joint action ``a``.
"""

import itertools
import math
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
from scipy.linalg import expm
from scipy.optimize import linprog


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
    """Episodes as ``malfl.play.player`` makes them: states, joint actions, and those drawn ahead.

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
    """Algorithm 1's evaluation of one agent along given episodes.

    The next action is the one drawn ahead or, if ``executed``, the one of the step that follows.
    """
    _, rewards = plain(game)
    joints = joint_actions(game.actions)
    q = np.zeros((game.n_states, game.actions[agent]))
    for s in np.flatnonzero(game.ends):
        q[s, 0] = rewards[agent][s][0]  # received there, and nothing follows
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


def replayed(
    game, policy, agent, alpha, beta, states, actions, executed, entries=None, falling=0.0
):
    """Algorithm 1's values of one agent as slopes[s][a][z] in number z of its reward.

    Constants come with them.

    ``entries[s][joint]`` says which number is earned by a joint action; by default that of s.

    A next action that was drawn, and so not seen, is expected under the policy; also after an
    episode's last step.
    """
    joints = joint_actions(game.actions)
    own = game.actions[agent]
    entries = [[s] * len(joints) for s in range(game.n_states)] if entries is None else entries
    number = 1 + max(max(row) for row in entries)
    # A value is a list of what it owes to the numbers of the reward, and last to none of them.
    q = [[[0.0] * (number + 1) for _ in range(own)] for _ in range(game.n_states)]
    for s in np.flatnonzero(game.ends):
        q[s][0][entries[s][0]] = 1.0  # received there, and nothing follows
    updates = [[0] * own for _ in range(game.n_states)]
    for visited, taken in zip(states, actions, strict=True):
        for t, joint in enumerate(taken):
            s, s_next, a = visited[t], visited[t + 1], joints[joint][agent]
            odds = policy[s_next]
            if executed and t + 1 < len(taken):
                follows = joints[taken[t + 1]][agent]
                odds = [float(a_next == follows) for a_next in range(own)]
            target = [float(z == entries[s][joint]) for z in range(number)] + [0.0]
            for a_next in range(own):
                for z in range(number + 1):
                    target[z] += game.gamma * odds[a_next] * q[s_next][a_next][z]
                if odds[a_next] > 0:
                    surprise = -alpha * math.log(policy[s_next][a_next])
                    target[number] += game.gamma * odds[a_next] * surprise
            updates[s][a] += 1
            step = beta / updates[s][a] ** falling
            for z in range(number + 1):
                q[s][a][z] = q[s][a][z] + step * (target[z] - q[s][a][z])
    q = np.array(q)
    return q[..., :number], q[..., number]


def replay_errors(
    game, policy, agent, alpha, beta, reward, states, actions, executed, entries=None, falling=0.0
):
    """Expected values for one reward, and variances of what was drawn and not seen."""
    joints = joint_actions(game.actions)
    entries = [[s] * len(joints) for s in range(game.n_states)] if entries is None else entries
    own = range(game.actions[agent])
    q, variance, updates = np.zeros((3, game.n_states, game.actions[agent]))
    for s in np.flatnonzero(game.ends):
        q[s, 0] = reward[entries[s][0]]
    for visited, taken in zip(states, actions, strict=True):
        for t, a in enumerate(taken):
            s, after, mine = visited[t], visited[t + 1], joints[a][agent]
            seen = executed and t + 1 < len(taken)
            odds = [float(seen and b == joints[taken[t + 1]][agent]) for b in own]
            if not seen:
                odds = policy[after]
            worth = [q[after, b] - alpha * math.log(policy[after][b] or 1.0) for b in own]
            mean = sum(p * w for p, w in zip(odds, worth, strict=True))
            spread = sum(p * (w - mean) ** 2 for p, w in zip(odds, worth, strict=True))
            carried = sum(p * variance[after, b] for b, p in zip(own, odds, strict=True))
            updates[s, mine] += 1
            step = beta / updates[s, mine] ** falling
            q[s, mine] += step * (reward[entries[s][a]] + game.gamma * mean - q[s, mine])
            itself = odds[mine] if after == s else 0.0
            variance[s, mine] *= (1 - step) ** 2 + 2 * (1 - step) * step * game.gamma * itself
            variance[s, mine] += (step * game.gamma) ** 2 * (carried + spread)
    return q, variance


def structural(game, policies, agent, alpha):
    """Exact soft Q of own actions as slopes[s][a][z] in the reward of state z, and constants.

    Eq. 3 without a reward, and with a reward of 1 in one state at a time.
    """

    def values(paid):
        reward = np.zeros((game.n_states, game.n_joint_actions))
        reward[paid] = 1.0
        rewarded = SimpleNamespace(
            actions=game.actions,
            n_agents=game.n_agents,
            n_states=game.n_states,
            n_joint_actions=game.n_joint_actions,
            transitions=game.transitions,
            gamma=game.gamma,
            joint_reward=lambda _: reward,
        )
        return over_opponents(game, policies, agent, soft_q(rewarded, policies, agent, alpha))

    constants = values([])
    slopes = [values([z]) - constants for z in range(game.n_states)]
    return np.stack(slopes, axis=-1), constants


def learned_mean(game, policies, agent, alpha, beta, visits, reward):
    """Mean values (S, A_i) learned from zero by temporal differences, for a reward (S,).

    Exact soft Q and the exponential of the rates' matrix, pair by pair.
    """
    slopes, constants = structural(game, policies, agent, alpha)
    exact = (slopes @ reward + constants).ravel()
    joints, number, own = joint_actions(game.actions), game.n_states, game.actions[agent]
    moves = game.transitions.toarray().reshape(number, len(joints), number)
    follow = np.zeros((number, own, number, own))
    for s in range(number):
        for k, joint in enumerate(joints):
            others = math.prod(policies[i][s][a] for i, a in enumerate(joint) if i != agent)
            for after in range(number):
                for a in range(own):
                    odds = others * moves[s, k, after] * policies[agent][after][a]
                    follow[s, joint[agent], after, a] += odds
    rates = -math.log(1 - beta) * np.ravel(visits)
    pairs = number * own
    drift = rates[:, None] * (np.eye(pairs) - game.gamma * follow.reshape(pairs, pairs))
    return (exact - expm(-drift) @ exact).reshape(number, own)


def noise_round(reach, policy, rates, relaxed, noise, carried, gamma, covariance):
    """One round for the covariance of learned values, from pair to pair; reach is (S * A_i, S)."""
    pairs, own = len(rates), policy.shape[1]
    follow = np.zeros((pairs, pairs))
    for i, j in itertools.product(range(pairs), repeat=2):
        follow[i, j] = reach[i, j // own] * policy[j // own, j % own]
    ahead, after = follow @ covariance, np.zeros((pairs, pairs))
    for i, j in itertools.product(range(pairs), repeat=2):
        after[i, j] = gamma * (rates[i] * ahead[i, j] + rates[j] * ahead[j, i])
        if i == j:
            each = sum(follow[i, k] * covariance[k, k] for k in range(pairs))
            mean = follow[i] @ covariance @ follow[i]
            after[i, i] += noise[i] + carried[i] * (each - mean)
    return relaxed * after


def printed_loss(game, agent, y, reward, shapings, data):
    """Eq. 12 as printed, for each h; ``data[h]`` holds (s, a, s', how often) of D_{h + 1}."""
    joints = joint_actions(game.actions)
    losses = [0.0] * len(y)
    for h, steps in enumerate(data):
        for s, a, s_next, times in steps:
            target = y[h][s][joints[a][agent]]
            if not math.isnan(target):
                shaping = shapings[h][s] - game.gamma * shapings[h][s_next]
                losses[h] += times * (reward[s][a] + shaping - target) ** 2
    return losses


def released_residuals(cells, actions, gamma, agent, policies, y, reward, shapings):
    """What the released program squares, (H, S, A_i); ``reward[s]`` by agent 0's, agent 1's."""
    residuals = -np.array(y)
    for h in range(len(y)):
        observer = policies[1 - agent][h]
        for p, q in itertools.product(range(cells), range(cells)):
            s = cells * p + q
            g = [shapings[h][cells * p + (actions * q + a) % cells] for a in range(actions)]
            r = [[reward[s][actions * a + b] for b in range(actions)] for a in range(actions)]
            for a in range(actions):
                if agent == 0:
                    expected = sum(observer[s][b] * r[a][b] for b in range(actions))
                    residuals[h, s, a] += expected + (1 - gamma) * g[a]
                else:
                    total = sum(r[b][a] for b in range(actions))
                    residuals[h, s, a] += observer[s][a] * total + g[a]
                    residuals[h, s, a] -= gamma * observer[s][a] * sum(g)
    return residuals


def shares_of_moves(n_states, n_joint, episodes):
    """Shares of s' after (s, a), (S, A, S), uniform where nothing was seen.

    ``episodes`` are pairs of lists, s_0..s_T and a_0..a_{T-1}.
    """
    moves = [[[0] * n_states for _ in range(n_joint)] for _ in range(n_states)]
    for visited, taken in episodes:
        for t, a in enumerate(taken):
            moves[visited[t]][a][visited[t + 1]] += 1
    return np.array(
        [
            [[n / sum(row) if sum(row) else 1 / n_states for n in row] for row in rows]
            for rows in moves
        ]
    )


def path_likelihood(game, path, actions, seen, rate):
    """The log-probability of a path of states and of reading the states that were seen."""
    next_states, _ = plain(game)

    def log(p):
        return math.log(p) if p > 0 else -math.inf

    moves = zip(path, actions, path[1:], strict=False)
    return (
        log(game.start[path[0]])
        + sum(log(sum(p for p, to in next_states[s][a] if to == t)) for s, a, t in moves)
        + sum(
            log(1 - rate if s == read else rate / (game.n_states - 1))
            for s, read in zip(path, seen, strict=True)
        )
    )


def likeliest_path(game, actions, seen, rate):
    """The likeliest of all paths of states."""
    paths = itertools.product(range(game.n_states), repeat=len(seen))
    return max(paths, key=lambda path: path_likelihood(game, path, actions, seen, rate))


def faced(game, policies, agent):
    """The process that an agent faces: odds[s, a, t] of next states t after own actions a."""
    next_states, _ = plain(game)
    odds = np.zeros((game.n_states, game.actions[agent], game.n_states))
    for s in range(game.n_states):
        for a, joint in enumerate(joint_actions(game.actions)):
            for p, t in next_states[s][a]:
                odds[s, joint[agent], t] += probability(policies, s, joint, agent) * p
    return odds


def predict(game, policies, agent, alpha, guess):
    """The improvement by the true reward and by a guess[s][a] over joint actions (Section 6).

    With the shaping of the papers' proofs, g = alpha (ln Z-hat - ln Z), Z the sums of the
    improvements' weights.
    """
    states, own = range(game.n_states), range(game.actions[agent])
    odds, policy, gamma = faced(game, policies, agent), policies[agent], game.gamma
    reward = over_opponents(game, policies, agent, plain(game)[1][agent])
    guessed = over_opponents(game, policies, agent, guess)

    def ahead(value, s, a):
        return sum(odds[s, a, t] * value[t] for t in states)

    def improvement(paid):
        value = [0.0 for _ in states]
        for _ in range(int(40 / (1 - gamma))):
            q = [[paid[s, a] + gamma * ahead(value, s, a) for a in own] for s in states]
            value = [
                sum(policy[s][a] * q[s][a] for a in own) + alpha * entropy(policy[s])
                for s in states
            ]
        top = [max(q[s]) for s in states]
        sums = [
            top[s] / alpha + math.log(sum(math.exp((q[s][a] - top[s]) / alpha) for a in own))
            for s in states
        ]
        logs = [[q[s][a] / alpha - sums[s] for a in own] for s in states]
        return np.array(q), np.array(logs), np.array(sums)

    (q, logs, sums), (q_hat, logs_hat, sums_hat) = improvement(reward), improvement(guessed)
    new, change, g = np.exp(logs), logs_hat - logs, alpha * (sums_hat - sums)
    shaping = [[g[s] - gamma * ahead(g, s, a) for a in own] for s in states]
    return SimpleNamespace(
        alpha=alpha, gamma=gamma, odds=odds, policy=np.array(policy), reward=reward,
        error=guessed - reward, q=q, q_hat=q_hat, logs=logs, logs_hat=logs_hat, new=new,
        change=change, divergence=np.array([-sum(new[s] * change[s]) for s in states]), g=g,
        shaped_error=guessed - reward - shaping,
    )  # fmt: skip


def least_error(odds, gamma, error):
    """E* as the most that a bet of 1 on errors can win when shapings neither win nor lose."""
    states, own, _ = odds.shape
    shapings = np.array(
        [
            [float(s == t) - gamma * odds[s, a, t] for t in range(states)]
            for s in range(states)
            for a in range(own)
        ]
    )
    size = np.abs(error).max() or 1.0
    stakes = np.ravel(error) / size
    won = linprog(
        np.append(-stakes, stakes),
        A_eq=np.vstack([np.hstack([shapings.T, -shapings.T]), np.ones(2 * len(stakes))]),
        b_eq=np.append(np.zeros(states), 1.0),
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    return -size * won.fun


def bisect(below, most):
    """The largest x in [0, most] for which ``below`` is true, up to rounding."""
    least = 0.0
    for _ in range(200):
        middle = (least + most) / 2
        least, most = (middle, most) if below(middle) else (least, middle)
    return least


def coin_changes(p, divergence):
    """How far ln p can fall and rise by a KL of two coins."""

    def near(change):
        other = (1 - p) * math.log((1 - p) / (1 - p * math.exp(change))) if p < 1 else 0.0
        return other - p * change <= divergence

    fall = bisect(lambda t: near(-t), (divergence + 1) / p)
    rise = bisect(lambda t: p * math.exp(t) < 1 and near(t), -math.log(p))
    return fall, rise


def largest_divergence(x):
    """The greatest ln E[e^f] - E[f] for -x <= f <= x, f + x being 2 x with probability q."""

    def excess(q):
        return math.log1p(q * math.expm1(2 * x)) - 2 * q * x

    low, high = 0.0, 1.0
    for _ in range(200):  # it is concave in q
        a, b = (2 * low + high) / 3, (low + 2 * high) / 3
        low, high = (a, high) if excess(a) < excess(b) else (low, b)
    return excess(low)


def reward_for(next_states, policy, new, gamma):
    """What one agent is paid if, at alpha 1, ``policy`` becomes ``new`` (Theorem 5.1)."""
    kl = [
        sum(p * math.log(p / q) for p, q in zip(before, after, strict=True) if p > 0)
        for before, after in zip(policy, new, strict=True)
    ]
    return [
        [math.log(q) + gamma * kl[t] for q, t in zip(after, row, strict=True)]
        for after, row in zip(new, next_states, strict=True)
    ]


def soft_optimum(odds, reward, gamma, alpha):
    """The policy e^((Q - V) / alpha) of the fixed point V = alpha ln sum_a e^(Q / alpha)."""
    value = np.zeros(len(reward))
    for _ in range(int(40 / (1 - gamma))):
        q = reward + gamma * odds @ value
        top = q.max(axis=1)
        value = top + alpha * np.log(np.exp((q - top[:, None]) / alpha).sum(axis=1))
    return np.exp((q - value[:, None]) / alpha)


def backed_up(game, policies, agent, alpha, q):
    """Soft value iteration: an agent's values, one round on."""
    next_states, rewards = plain(game)
    value = [alpha * math.log(sum(math.exp(x / alpha) for x in row)) for row in q]
    joint = [
        [
            rewards[agent][s][a] + game.gamma * sum(p * value[t] for p, t in next_states[s][a])
            for a in range(game.n_joint_actions)
        ]
        for s in range(game.n_states)
    ]
    return over_opponents(game, policies, agent, joint)


def watkins(game, agent, beta, q, states, actions):
    """Q-learning over own actions along given episodes."""
    _, rewards = plain(game)
    joints = joint_actions(game.actions)
    q = [list(row) for row in q]
    for visited, taken in zip(states, actions, strict=True):
        for t, a in enumerate(taken):
            s, s_next, own = visited[t], visited[t + 1], joints[a][agent]
            target = rewards[agent][s][a] + game.gamma * max(q[s_next])
            q[s][own] = (1 - beta) * q[s][own] + beta * target
    return np.array(q)


def best_response(game, policies, agent, alpha):
    """The soft optimum among others who keep to their policies."""
    _, rewards = plain(game)
    expected = over_opponents(game, policies, agent, rewards[agent])
    return soft_optimum(faced(game, policies, agent), expected, game.gamma, alpha)


def log_odds(logits):
    """The logarithm of the softmax of one row."""
    top = max(logits)
    whole = top + math.log(sum(math.exp(x - top) for x in logits))
    return [x - whole for x in logits]


def log_likelihood(counts, logits):
    """Of actions counted under policies with these logits; both [h][s][a]."""
    return sum(
        number * log_p
        for rows, row_logits in zip(counts, logits, strict=True)
        for row, row_logit in zip(rows, row_logits, strict=True)
        for number, log_p in zip(row, log_odds(row_logit), strict=True)
    )


def deviance(counts, logits):
    """Twice what the shares seen are likelier by; the numbers that they are, those of seen rows."""
    shares = sum(
        number * math.log(number / sum(row))
        for rows in counts
        for row in rows
        for number in row
        if number > 0
    )
    numbers = sum(len(row) - 1 for rows in counts for row in rows if sum(row) > 0)
    return 2 * (shares - log_likelihood(counts, logits)), numbers


def expected_deviance(counts, logits):
    """Its expectation, by the binomial distribution of each count."""
    expected = 0.0
    for rows, odds in zip(counts, logits, strict=True):
        for row, these in zip(rows, odds, strict=True):
            total = int(sum(row))
            weights = [math.exp(logit - max(these)) for logit in these]
            for weight in weights:
                p = weight / sum(weights)
                for y in range(1, total + 1):
                    chance = math.exp(
                        math.lgamma(total + 1) - math.lgamma(y + 1) - math.lgamma(total - y + 1)
                        + y * math.log(p) + (total - y) * math.log1p(-p)
                    )  # fmt: skip
                    expected += 2 * chance * y * math.log(y / (total * p))
    return expected


def multinomial_information(counts, logits, slopes):
    """Expected information on z of multinomial counts; slopes[h][s][a][z], one choice at a time."""
    size = len(slopes[0][0][0])
    information = np.zeros((size, size))
    for rows, row_logits, row_slopes in zip(counts, logits, slopes, strict=True):
        for row, row_logit, by_action in zip(rows, row_logits, row_slopes, strict=True):
            p = np.exp(log_odds(row_logit))
            covariance = sum(row) * (np.diag(p) - np.outer(p, p))
            information += np.array(by_action).T @ covariance @ np.array(by_action)
    return information


def soft_return(game, policies, agent, alpha):
    """What an agent earns from the start on, the entropy of its own choices counted."""
    odds, states = faced(game, policies, agent), range(game.n_states)
    reward = over_opponents(game, policies, agent, plain(game)[1][agent])
    own = policies[agent]
    paid = np.array([sum(own[s] * reward[s]) + alpha * entropy(own[s]) for s in states])
    moves = np.array([sum(p * row for p, row in zip(own[s], odds[s], strict=True)) for s in states])
    value = np.zeros(game.n_states)
    for _ in range(int(40 / (1 - game.gamma))):
        value = paid + game.gamma * moves @ value
    return float(sum(p * v for p, v in zip(game.start, value, strict=True)))


def soft_optimal_q(odds, reward, gamma, alpha):
    """Q = R + gamma E[alpha ln sum_a e^(Q / alpha)], applied until nothing changes."""
    q = np.zeros_like(reward)
    for _ in range(int(40 / (1 - gamma))):
        q = reward + gamma * odds @ np.array([alpha * log_sum(row / alpha) for row in q])
    return q


def log_sum(logits):
    top = max(logits)
    return top + math.log(sum(math.exp(x - top) for x in logits))


def discounted_visits(odds, policy, gamma):
    """Visits to come, each counted by gamma to its time: [s][a][z] if a comes first, and [s][z]."""
    states, own, _ = odds.shape
    by_policy = np.zeros((states, states))
    for _ in range(int(40 / (1 - gamma))):
        by_action = np.eye(states)[:, None, :] + gamma * odds @ by_policy
        by_policy = np.array([sum(policy[s][a] * by_action[s, a] for a in range(own))
                              for s in range(states)])  # fmt: skip
    return by_action, by_policy


def pooled(game, counts, agent):
    """Where an agent's own actions led over all iterations, [s][a][t], the others not looked at.

    ``counts[h][s][a]`` are of joint actions. What the agent never tried leads where it would if
    the others played at random.
    """
    next_states, _ = plain(game)
    odds = np.zeros((game.n_states, game.actions[agent], game.n_states))
    for s in range(game.n_states):
        for own in range(game.actions[agent]):
            which = [a for a, j in enumerate(joint_actions(game.actions)) if j[agent] == own]
            times = [sum(counts[h][s][a] for h in range(len(counts))) for a in which]
            if sum(times) == 0:
                times = [1] * len(which)
            for a, number in zip(which, times, strict=True):
                for p, t in next_states[s][a]:
                    odds[s, own, t] += number / sum(times) * p
    return odds


def overlap(counts):
    """Weights of equations, of counts[h][s][a] of an agent's own actions."""
    return np.array(
        [
            [
                [1 / (1 / (1 + number) + 1 / (1 + sum(row_after))) for number in row]
                for row, row_after in zip(before, after, strict=True)
            ]
            for before, after in itertools.pairwise(counts)
        ]
    )


def consistency_matrix(game, policies, agent, y, shape):
    """The residuals of Eq. 12 as matrices of a state-action or state reward, and of shapings."""
    h, own = len(y), [joint[agent] for joint in joint_actions(game.actions)]

    def residuals(reward, shapings):
        by_joint = reward[:, own] if reward.ndim == 2 else np.repeat(reward[:, None], len(own), 1)
        zero = np.zeros_like(np.array(y))
        return consistency_residuals(game, policies, agent, zero, by_joint, shapings).ravel()

    units = np.eye(int(np.prod(shape)))
    rewards = [residuals(one.reshape(shape), np.zeros((h, game.n_states))) for one in units]
    units = np.eye(h * game.n_states)
    shapings = [residuals(np.zeros(shape), one.reshape(h, game.n_states)) for one in units]
    return np.array(rewards).T, np.array(shapings).T


def least_squares(game, policies, agent, alpha, weights, shape):
    """The reward of least norm of all that are most consistent, whatever the shapings."""
    y = targets(game, policies, agent, alpha)
    rewards, shapings = consistency_matrix(game, policies, agent, y, shape)
    root = np.sqrt(np.ravel(weights))
    left = np.eye(len(root))
    left = left - (root[:, None] * shapings) @ np.linalg.pinv(root[:, None] * shapings, rcond=1e-10)
    matrix, aim = left @ (root[:, None] * rewards), left @ (root * y.ravel())
    return (np.linalg.pinv(matrix, rcond=1e-9) @ aim).reshape(shape)


def descended_reward(game, policies, agent, alpha, shape, steps, rate):
    """A reward by some steps of Adam from zero on the squared residuals of Eq. 12."""
    y = targets(game, policies, agent, alpha)
    rewards, shapings = consistency_matrix(game, policies, agent, y, shape)
    both = np.hstack([rewards, shapings])

    def gradient(x):
        return 2 * both.T @ (both @ x - y.ravel())

    found = adam(gradient, np.zeros(both.shape[1]), steps, rate)
    return found[: rewards.shape[1]].reshape(shape)


def descended_policy(counts, lambda_, logits, steps, rate):
    """A policy in one state by some steps of Adam on Eq. 10, its slopes by differences."""

    def objective(x):
        return sum(counts) * entropy_objective(counts, np.exp(log_odds(x)), lambda_)

    def gradient(x):
        steps = 1e-5 * np.eye(len(x))
        return [(objective(x - step) - objective(x + step)) / 2e-5 for step in steps]

    return np.exp(log_odds(adam(gradient, logits, steps, rate)))


def ninety_five(values):
    """Mean, standard deviation and 95 % interval of Student's t of two to five numbers."""
    n = len(values)
    mean = sum(values) / n
    sd = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1))
    half = {2: 12.7062047, 3: 4.30265273, 4: 3.18244631, 5: 2.77644511}[n] * sd / math.sqrt(n)
    return mean, sd, mean - half, mean + half


def episodes_of_rows(rows):
    """Episodes by iteration, and end states, from rows (iteration, episode, step, state, action,
    next state, ended): one row after the other.

    A state that an episode ends in, and that something is done in anywhere, has a twin where it
    ends, numbered after all others.
    """
    acted_in = {state for _, _, _, state, *_ in rows}
    states = 1 + max(max(row[3], row[5]) for row in rows)
    ended_in = sorted({row[5] for row in rows if row[6]})
    twins = {s: states + k for k, s in enumerate(s for s in ended_in if s in acted_in)}
    found, before = [], None
    for h, k, _, state, action, after, ended in rows:
        if before is None or before[0] != h:
            found.append([])
        if before != (h, k):
            found[-1].append(([state], []))
        before = h, k
        visited, done = found[-1][-1]
        visited.append(twins.get(after, after) if ended else after)
        done.append(action)
    return found, sorted(twins.get(s, s) for s in ended_in)
