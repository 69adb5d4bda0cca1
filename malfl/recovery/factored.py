"""Slopes of exact values, held as the sparse matrices and values of states that they are made of.

Q = own r + ahead V and V = inverse mean r: of Q one number for each action and each number of the
reward, of V one for each pair of states. In large games with rewards of actions, the former are
too many to be written down, and to be squared once a step of Newton's method. Values are less
their mean over states: it is the same for all actions, so that no policy depends on it, and it is
large where gamma is near 1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.linalg import inv
from scipy.sparse import block_array, block_diag, bsr_array, csr_array, vstack
from scipy.sparse.csgraph import connected_components

from malfl import checks, progress
from malfl.checks import BoolArray, FloatArray, IntArray
from malfl.games.markov import Dynamics
from malfl.recovery.classes import Space
from malfl.recovery.learned_values import Process
from malfl.recovery.parts import Symmetric, together
from malfl.recovery.patterns import one_step
from malfl.recovery.slopes import farthest


class _Region(NamedTuple):
    """States that lead to no others, and the numbers that they depend on, under H policies.

    Rows are sorted by policy, state, and action.
    """

    states: IntArray  # (n,)
    numbers: IntArray  # (k,)
    own: csr_array  # (H * n * A_i, k), what actions earn
    ahead: csr_array  # (H * n * A_i, H * n), where they lead, times gamma
    inverse: FloatArray  # (H, n, n), of 1 - gamma * transitions, each column less its mean
    mean: csr_array  # (H * n, k), what the policies earn

    def at(self, reward: FloatArray) -> FloatArray:
        """Values (H, n, A_i) of a reward (K,)."""
        some = reward[self.numbers]
        values = self.inverse @ (self.mean @ some).reshape(*self.inverse.shape[:2], 1)
        found = self.own @ some + self.ahead @ values.ravel()
        actions = self.own.shape[0] // self.mean.shape[0]
        return np.asarray(found.reshape(*self.inverse.shape[:2], actions))

    def along(self, rest: FloatArray) -> FloatArray:
        """The sum (k,) of all slopes, each times what is given for its value, (H, n, A_i)."""
        flat = rest.ravel()
        ahead = (self.ahead.T @ flat).reshape(len(self.inverse), 1, -1) @ self.inverse
        return np.asarray(self.own.T @ flat + self.mean.T @ ahead.ravel())

    def square(self, mixing: FloatArray) -> FloatArray:
        """Of the slopes, (k, k), each state's times a matrix of its own, (H, n, B, A_i)."""
        policies, number, _ = self.inverse.shape
        each = np.arange(policies * number + 1)
        weights = (mixing.swapaxes(-1, -2) @ mixing).reshape(-1, *2 * mixing.shape[-1:])
        weighted = bsr_array((weights, each[:-1], each))
        own, ahead = weighted @ self.own, weighted @ self.ahead
        carried = (self.ahead.T @ ahead) @ self.inverse.reshape(-1, number)
        between = self.inverse.swapaxes(1, 2) @ carried.reshape(self.inverse.shape)
        crossed, half = csr_array(self.ahead.T @ own), []
        for h in range(policies):
            rows = slice(h * number, (h + 1) * number)
            half += [crossed[rows].T @ self.inverse[h] + 0.5 * (self.mean[rows].T @ between[h])]
        found = np.hstack(half) @ self.mean
        alone = 0.5 * (self.own.T @ own).tocoo()
        np.add.at(found, alone.coords, alone.data)
        return np.asarray(found + found.T)

    def first(self, policies: int) -> "_Region":
        """The same under the first so many policies."""
        rows, actions = policies * len(self.states), self.own.shape[0] // self.mean.shape[0]
        return self._replace(
            own=self.own[: rows * actions],
            ahead=self.ahead[: rows * actions, :rows],
            inverse=self.inverse[:policies],
            mean=self.mean[:rows],
        )

    def whole(self, policy: int) -> FloatArray:
        """All slopes under one policy, (n, A_i, k)."""
        number, actions = self.inverse.shape[1], self.own.shape[0] // self.mean.shape[0]
        states = slice(policy * number, (policy + 1) * number)
        rows = slice(states.start * actions, states.stop * actions)
        values = self.ahead[rows, states] @ (self.inverse[policy] @ self.mean[states])
        return np.asarray(values + self.own[rows].toarray()).reshape(number, actions, -1)


@dataclass(frozen=True, eq=False)
class FactoredSlopes:
    """Of an agent's logits under H policies."""

    regions: tuple[_Region, ...]
    shape: tuple[int, int, int, int]  #: H, S, A_i, K

    @property
    def numbers(self) -> int:
        """How many numbers the reward is."""
        return self.shape[3]

    def first(self, policies: int) -> "FactoredSlopes":
        """Those of the first so many."""
        regions = tuple(region.first(policies) for region in self.regions)
        return FactoredSlopes(regions, (policies, *self.shape[1:]))

    def at(self, reward: FloatArray) -> FloatArray:
        """The logits (H, S, A_i) of a reward (K,)."""
        found = np.zeros(self.shape[:3])
        for region in self.regions:
            found[:, region.states] = region.at(reward)
        return found

    def chosen(self, policies: IntArray, states: IntArray) -> "ChosenFactored":
        """Those of some choices."""
        place = np.full(self.shape[:2], -1)
        place[policies, states] = np.arange(len(states))
        parts = []
        for region in self.regions:
            choices = place[:, region.states]
            parts.append(_Chosen(choices[choices >= 0], choices >= 0, region))
        own = self.shape[2]
        mixing = np.broadcast_to(np.eye(own), (len(states), own, own))
        return ChosenFactored(parts, mixing, self.numbers)


class _Chosen(NamedTuple):
    choices: IntArray  # (g,), places among all choices of those in the region
    here: BoolArray  # (H, n), where they are in the region
    region: _Region

    def spread(self, of_choices: FloatArray) -> FloatArray:
        """From something of all choices to that of the region's states, zero where not chosen."""
        found = np.zeros((*self.here.shape, *of_choices.shape[1:]))
        found[self.here] = of_choices[self.choices]
        return found


class ChosenFactored:
    """Of G choices among A_i actions in K numbers, as `malfl.recovery.slopes.Slopes`."""

    def __init__(self, chosen: Sequence[_Chosen], mixing: FloatArray, numbers: int) -> None:
        self._chosen, self._mixing = chosen, mixing  # (G, B, A_i), what each is multiplied by
        self.shape = (*mixing.shape[:2], numbers)

    def times(self, factor: float, known: BoolArray) -> "ChosenFactored":
        """The same, times a factor; zero where nothing is known of an action (G, A_i)."""
        return self.mixed(factor * known[:, :, None] * np.eye(known.shape[1]))

    def mixed(self, matrices: FloatArray) -> "ChosenFactored":
        """Each choice's slopes times a matrix of its own from the left, (G, B, A_i)."""
        return ChosenFactored(self._chosen, matrices @ self._mixing, self.shape[2])

    def at(self, reward: FloatArray) -> FloatArray:
        """The logits (G, A_i) of a reward (K,)."""
        found = np.zeros((self.shape[0], self._mixing.shape[2]))
        for choices, here, region in self._chosen:
            found[choices] = region.at(reward)[here]
        return np.asarray((self._mixing @ found[..., None])[..., 0])

    def along(self, rest: FloatArray) -> FloatArray:
        """The sum (K,) of all slopes, each times what is given for its logit, (G, A_i)."""
        found, back = np.zeros(self.shape[2]), (rest[:, None] @ self._mixing)[:, 0]
        for one in self._chosen:
            found[one.region.numbers] += one.region.along(one.spread(back))
        return found

    def square(self) -> Symmetric:
        """The sum (K, K) of the slopes' outer products."""
        blocks = [one.region.square(one.spread(self._mixing)) for one in self._chosen]
        parts = [one.region.numbers for one in self._chosen]
        rest = np.setdiff1d(np.arange(self.shape[2]), [k for part in parts for k in part])
        if rest.size:
            parts, blocks = [*parts, rest], [*blocks, np.zeros((rest.size, rest.size))]
        return Symmetric(parts, blocks)

    def apart(self, known: BoolArray) -> FloatArray:
        """How far any is from the mean over the known actions, at most, by number, (K,)."""
        found = np.zeros(self.shape[2])
        for numbers, choices, values in self._whole():
            found[numbers] = np.maximum(found[numbers], farthest(values, known[choices]))
        return found

    def largest(self) -> float:
        """The largest of all, whatever its sign."""
        sizes = (np.abs(values).max(initial=0.0) for _, _, values in self._whole())
        return max(map(float, sizes), default=0.0)

    def _whole(self) -> Iterator[tuple[IntArray, IntArray, FloatArray]]:
        """Numbers (k,), some choices (g,) and their slopes (g, B, k), policy by policy."""
        for choices, here, region in self._chosen:
            place = np.full(here.shape, -1)
            place[here] = choices
            for h in np.flatnonzero(here.any(axis=1)).tolist():
                some = place[h][here[h]]
                yield region.numbers, some, self._mixing[some] @ region.whole(h)[here[h]]


def factored_slopes(
    dynamics: Dynamics, agent: int, space: Space, processes: Sequence[Process], alpha: float
) -> FactoredSlopes:
    """Slopes of exact values of an agent under some policies, in units of alpha."""
    regions = _regions(dynamics, agent, space)
    policies, own = len(processes), dynamics.actions[agent]
    sizes = [(len(states), len(numbers)) for states, numbers in regions]
    kept = policies * sum(n**2 for n, _ in sizes) + 4 * space.numbers**2
    once = [3 * policies * n**2 + 2 * policies * n * k + 3 * n * own * k for n, k in sizes]
    checks.memory(
        8 * (kept + max(once, default=0)),
        f"values of {policies} policies in {dynamics.n_states} states",
        "use a smaller game",
    )
    found = tuple(_region(*one, space, processes, alpha) for one in regions)
    shape = policies, dynamics.n_states, own, space.numbers
    return FactoredSlopes(found, shape)


def _region(
    states: IntArray, numbers: IntArray, space: Space, processes: Sequence[Process], alpha: float
) -> _Region:
    own, ahead, inverse, mean = [], [], [], []
    for process in processes:
        progress.advance()
        actions = process.policy.shape[1]
        rows = (states[:, None] * actions + np.arange(actions)).ravel()
        earned = process.own if space.basis is None else csr_array(process.own @ space.basis)
        own.append(csr_array(earned[rows][:, numbers] / alpha))
        ahead.append(process.gamma * process.reach[rows][:, states])
        ends = np.arange(0, rows.size + 1, actions)
        weights = csr_array((process.policy[states].ravel(), np.arange(rows.size), ends))
        mean.append(weights @ own[-1])
        values = inv(np.eye(len(states)) - (weights @ ahead[-1]).toarray())
        inverse.append(values - values.mean(axis=0))
    return _Region(
        states, numbers, csr_array(vstack(own)), csr_array(block_diag(ahead)), np.array(inverse),
        csr_array(vstack(mean)),
    )  # fmt: skip


def _regions(dynamics: Dynamics, agent: int, space: Space) -> list[tuple[IntArray, IntArray]]:
    """States and numbers that nothing connects with others."""
    earned, moves = one_step(dynamics, agent, space)
    states = dynamics.n_states
    alone = csr_array((space.numbers, space.numbers))
    graph: csr_array = block_array([[moves, earned], [csr_array(earned.T), alone]])
    groups = together(connected_components(graph.tocsr(), directed=False)[1])
    split = [(group[group < states], group[group >= states] - states) for group in groups]
    return [(own, numbers) for own, numbers in split if own.size and numbers.size]
