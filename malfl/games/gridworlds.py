"""The grids of the two papers, generalised in size, number of agents and slip."""

from functools import reduce
from typing import Literal

import numpy as np
from scipy.sparse import csr_array, kron

from malfl import checks
from malfl.checks import FloatArray, IntArray
from malfl.games.board import landings
from malfl.games.markov import MarkovGame

MOVES = {"down": (1, 0), "up": (-1, 0), "left": (0, -1), "right": (0, 1), "stay": (0, 0)}
"""Row and column steps of the five actions, in the order of their numbers."""

BYTES = 110  # of memory for each way from a state to a next one, while a grid is built
MANY = 50  # agents; more are as impossible

Kind = Literal["hom", "het"]


def positions(size: int, agents: int = 1) -> IntArray:
    """Cells of the agents in every joint state, shape (S, N); cell ``size * row + column``.

    Agent 0's cell varies slowest over the ``S = size ** (2 * N)`` joint states.
    """
    cells = checks.count(size, "size") ** 2
    _check_room(16 * cells ** min(checks.count(agents, "agents"), MANY), size, agents)
    return np.array(np.unravel_index(np.arange(cells**agents), (cells,) * agents)).T


def ma_lfl(
    kind: Kind = "hom", *, size: int = 3, agents: int = 2, slip: float = 0.0, gamma: float = 0.9
) -> MarkovGame:
    """The grid game of MA-LfL, Section 7: all start at the top left, the goal is bottom right.

    An agent on the goal is put back on the start cell by its next move, whatever that is; the
    others move on as usual. Moves off the grid leave an agent where it is. Rewards depend on the
    joint state before the move.

    Parameters
    ----------
    kind
        ``"hom"``: every agent seeks the goal and avoids the others (Eq. 13).
        ``"het"``: agent 0 seeks the others as well, the rest avoid them (Eq. 14).
        With more than two agents the distances to all others add up.
    size
        Cells along a side, at least 2.
    agents
        Number of agents, at least 1.
    slip
        Probability in [0, 1] that an agent's move is replaced by one of the five at random.
    gamma
        Discount factor in [0, 1).

    Returns
    -------
    MarkovGame
        With ``S = size ** (2 * agents)`` states and five actions an agent (see `MOVES`).
    """
    checks.choice(kind, "kind", ("hom", "het"))
    size, agents = checks.count(size, "size", at_least=2), checks.count(agents, "agents")
    slip = checks.probability(slip, "slip")
    branches = len(MOVES) if slip else 1
    rows = (size * size * len(MOVES)) ** min(agents, MANY)
    _check_room(BYTES * rows * branches ** min(agents, MANY), size, agents)
    goal = size * size - 1
    one = _moves(size, tuple(MOVES.values()), jumps={goal: 0})
    one = (1 - slip) * one + slip * _averaged_over_actions(one, len(MOVES))
    at = positions(size, agents)
    to_goal = _manhattan(at, np.full_like(at, goal), size)
    rewards = []
    for i in range(agents):
        apart = sum(
            (_manhattan(at[:, i], at[:, j], size) for j in range(agents) if j != i),
            start=np.zeros(len(at)),
        )
        seeks_others = kind == "het" and i == 0
        rewards.append(-to_goal[:, i] - apart if seeks_others else -to_goal[:, i] + apart)
    return MarkovGame(
        actions=(len(MOVES),) * agents,
        transitions=_independent_moves(one, len(MOVES), agents),
        rewards=rewards,
        start=0,
        gamma=gamma,
    )


def _check_room(size_in_memory: int, size: int, agents: int) -> None:
    what = f"a grid of size {checks.shown(size)} with {checks.shown(agents)} agents"
    checks.memory(size_in_memory, what, "take a smaller size, or fewer agents")


def lfl() -> MarkovGame:
    """The 5x5 grid of LfL, Section 6.1 and Figure 2: one agent, state rewards, gamma .96.

    Cell (x, y) is state ``5 * x + y``; the actions are x + 1, x - 1, y - 1, y + 1. From the goal
    (4, 4) and from the middle cell every action leads back to the start (0, 0).
    """
    steps = ((1, 0), (-1, 0), (0, -1), (0, 1))
    reward = np.full((5, 5), -1.0)
    reward[0, 4], reward[4, 0], reward[4, 4] = -12.0, 0.0, 10.0
    return MarkovGame(
        actions=(4,),
        transitions=_moves(5, steps, jumps={24: 0, 12: 0}),
        rewards=[reward.ravel()],
        start=0,
        gamma=0.96,
    )


def _moves(size: int, steps: tuple[tuple[int, int], ...], jumps: dict[int, int]) -> csr_array:
    """One agent's moves, shape (cells * actions, cells)."""
    target = landings(size, size, steps)
    for cell, landing in jumps.items():
        target[cell] = landing
    n = target.size
    return csr_array((np.ones(n), target.ravel(), np.arange(n + 1)), shape=(n, size * size))


def _averaged_over_actions(moves: csr_array, actions: int) -> csr_array:
    """The moves of an agent that ignores its choice and plays every action equally often."""
    cells = moves.shape[1]
    mean = csr_array(np.full((actions, actions), 1 / actions))
    return csr_array(kron(csr_array(np.eye(cells)), mean) @ moves)


def _independent_moves(one: csr_array, actions: int, agents: int) -> csr_array:
    """Joint transitions, shape (S * A, S), of agents that do not get in each other's way."""
    cells = one.shape[1]
    product = csr_array(reduce(lambda a, b: kron(a, b, format="csr"), [one] * agents))
    # Rows of the product are ordered (cell, action) agent by agent; a game wants cells first.
    order = np.arange(product.shape[0]).reshape((cells, actions) * agents)
    cells_first = [*range(0, 2 * agents, 2), *range(1, 2 * agents, 2)]
    return csr_array(product[order.transpose(cells_first).ravel()])


def _manhattan(a: IntArray, b: IntArray, size: int) -> FloatArray:
    return np.asarray(np.abs(a // size - b // size) + np.abs(a % size - b % size), dtype=np.float64)
