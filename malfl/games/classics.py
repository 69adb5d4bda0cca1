"""Small Markov games of the literature, with at most about 130 states each.

Each is an ongoing process: where an episode would end, play goes back to the start. Every state
can be reached from the start. A state is a tuple of small numbers, and states are numbered in the
sorted order of their tuples. Unless a game says otherwise, a cell of a board is
``columns * row + column``, actions are those of `malfl.games.gridworlds.MOVES`, a move off the
board leaves an agent where it is, and rewards are of the state before the move. The largest and
the smallest reward of an agent differ by 3 to 5. ``gamma`` is the discount factor in [0, 1).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product

import numpy as np

from malfl.games.board import landings
from malfl.games.gridworlds import MOVES
from malfl.games.markov import MarkovGame

State = tuple[int, ...]
Chances = Sequence[tuple[State, float]]  # states and their probabilities; a state may come twice


def iterated_dilemma(*, gamma: float = 0.9) -> MarkovGame:
    """The iterated prisoner's dilemma, S = 5: state 0 comes first, 1 + a follows joint action a.

    Action 0 cooperates, 1 defects. Rewards are of joint actions: 3 each where both cooperate, 1
    each where both defect, else 5 for the one who defects and 0 for the other. Payoffs as in
    Axelrod (1984), states as in Foerster et al. (2018).
    """
    payoff = np.array([[3.0, 0.0], [5.0, 1.0]])
    return MarkovGame(
        actions=(2, 2),
        transitions=np.tile(np.arange(1, 5), (5, 1)),
        rewards=[np.tile(own.ravel(), (5, 1)) for own in (payoff, payoff.T)],
        start=0,
        gamma=gamma,
    )


def stag_hunt(*, gamma: float = 0.9) -> MarkovGame:
    """A stag hunt on a 3x3 board, S = 36: state (p0, p1), the cells of both hunters.

    The stag stands in the middle, plants in the top right and the bottom left corner. Rewards:
    4 each where both are on the stag, -1 for a hunter who is there alone, 1 for one on a plant.
    From these three cells a hunter's next move leads home, to the top left corner for agent 0 and
    to the bottom right one for agent 1, so that each stays on its side of them. After Peysakhovich
    and Lerer (2018), whose stag moves.
    """
    board, stag, plants, homes = _board(3, 3), 4, (2, 6), (0, 8)

    def step(cells: State, actions: State) -> Chances:
        moves = zip(cells, actions, homes, strict=True)
        return _sure(home if c in (stag, *plants) else board[c][a] for c, a, home in moves)

    def reward(cells: State) -> list[float]:
        caught = 4.0 if cells[0] == cells[1] else -1.0
        return [caught if c == stag else float(c in plants) for c in cells]

    return _game((len(MOVES),) * 2, _sure(homes), step, reward, gamma)


def lanes(*, gamma: float = 0.9) -> MarkovGame:
    """Two agents who pass each other on a road of 2 lanes and 4 columns, S = 57.

    State (p0, p1), cells ``4 * lane + column``, or (-1, -1), number 0, after a crash. Agent 0
    drives to column 3 and agent 1 to column 0. Action 0 goes ahead, 1 changes to the other lane, 2
    waits. Rewards: 2 for an agent in its last column, -3 each after a crash. From its last column
    an agent's next move leads back to its first cell, at the other end of lane 0. Two who would
    share a cell, or pass through each other, crash, and both start anew. After the grid games of
    Hu and Wellman (2003), where two agents change places.
    """
    firsts, ends, aheads, crash = (0, 3), (3, 0), (1, -1), (-1, -1)

    def step(state: State, actions: State) -> Chances:
        if state == crash:
            return _sure(firsts)
        moves = zip(state, actions, firsts, ends, aheads, strict=True)
        after = tuple(
            first if cell % 4 == end else (cell + ahead, (cell + 4) % 8, cell)[action]
            for cell, action, first, end, ahead in moves
        )
        through = after == state[::-1] and after != firsts
        return _sure(crash if after[0] == after[1] or through else after)

    def reward(state: State) -> list[float]:
        if state == crash:
            return [-3.0, -3.0]
        return [2.0 * (cell % 4 == end) for cell, end in zip(state, ends, strict=True)]

    return _game((3, 3), _sure(firsts), step, reward, gamma)


def hand_over(*, gamma: float = 0.9) -> MarkovGame:
    """A kitchen where one agent fetches dishes and the other serves them, S = 32.

    State (p0, h0, c, p1, h1). Agent 0 walks between the larder (p0 = 0) and the counter (1),
    agent 1 between the counter (p1 = 0) and the hatch (1). An agent holds a dish (h = 1) or none,
    and so does the counter (c). Action 0 walks, 1 uses the hands, 2 waits. With its hands
    agent 0 takes a dish in the larder and puts it on an empty counter, where agent 1 takes it.
    Reward: 3 each while agent 1 is at the hatch with a dish, which leaves with its next move.
    After the forced coordination of Carroll et al. (2019), where also all earn alike.
    """

    def step(state: State, actions: State) -> Chances:
        p0, h0, c, p1, h1 = state
        walks, hands = (tuple(a == number for a in actions) for number in (0, 1))
        takes = hands[0] and p0 == 0 and not h0
        puts = hands[0] and p0 == 1 and h0 and not c
        lifts = hands[1] and p1 == 0 and c and not h1
        serves = p1 == 1 and h1
        dishes = (h0 + bool(takes) - bool(puts), c + bool(puts) - bool(lifts))
        return _sure((p0 ^ walks[0], *dishes, p1 ^ walks[1], h1 + bool(lifts) - bool(serves)))

    def reward(state: State) -> list[float]:
        return [3.0 * (state[3:] == (1, 1))] * 2

    return _game((3, 3), _sure((0, 0, 0, 0, 0)), step, reward, gamma)


def coin(*, gamma: float = 0.9) -> MarkovGame:
    """The coin game on a 2x2 board, S = 128: state (p0, p1, c, k).

    These are the cells of both agents and of the coin, and the agent of the coin's colour.
    Rewards: 1 for an agent on the coin, and -2 for agent k when the other is. A coin that was
    taken comes back with the next move, in one of the cells then free and in one of both colours
    at random. After Lerer and Peysakhovich (2017), on a smaller board.
    """
    board = _board(2, 2)

    def placed(cells: State) -> Chances:
        free = [cell for cell in range(4) if cell not in cells]
        return [((*cells, cell, k), 1 / len(free) / 2) for cell in free for k in (0, 1)]

    def step(state: State, actions: State) -> Chances:
        *old, spot, colour = state
        cells = tuple(board[c][a] for c, a in zip(old, actions, strict=True))
        return placed(cells) if spot in old else _sure((*cells, spot, colour))

    def reward(state: State) -> list[float]:
        takes = [cell == state[2] for cell in state[:2]]
        return [1.0 * takes[i] - 2.0 * (state[3] == i and takes[1 - i]) for i in (0, 1)]

    return _game((len(MOVES),) * 2, placed((0, 3)), step, reward, gamma)


def soccer(*, gamma: float = 0.9) -> MarkovGame:
    """Soccer on a board of 2 rows and 4 columns, zero-sum, S = 114.

    State (p0, p1, b), the cells of both players and who has the ball, or (-1, -1, i), number i,
    after agent i scored: it earns 2 and the other -2, and play starts anew with the ball given to
    either at random. Agent 0 scores to the right of column 3 and agent 1 to the left of column 0,
    in both rows. The two moves are made in random order. A player who would enter the other's
    cell stays, and the other has the ball. After Littman (1994), on a smaller board.
    """
    board, ends, shots = _board(2, 4), (3, 0), (3, 2)  # shots go right and left
    kick_off = [((1, 6, ball), 0.5) for ball in (0, 1)]

    def moved(state: State, actions: State, order: State) -> State:
        cells, ball = list(state[:2]), state[2]
        for i in order:
            target = board[cells[i]][actions[i]]
            if ball == i and cells[i] % 4 == ends[i] and actions[i] == shots[i]:
                return (-1, -1, i)
            if target == cells[1 - i]:
                ball = 1 - i
            else:
                cells[i] = target
        return (*cells, ball)

    def step(state: State, actions: State) -> Chances:
        if state[0] < 0:
            return kick_off
        return [(moved(state, actions, order), 0.5) for order in ((0, 1), (1, 0))]

    def reward(state: State) -> list[float]:
        return [0.0, 0.0] if state[0] >= 0 else [2.0 - 4 * state[2], 4 * state[2] - 2.0]

    return _game((len(MOVES),) * 2, kick_off, step, reward, gamma)


def predator_prey(*, gamma: float = 0.9) -> MarkovGame:
    """Two predators and a prey on a board of 2 rows and 3 columns, S = 120.

    State (p0, p1, q), the cells of the predators and the prey, all different. Rewards: 3 each
    where both predators are next to the prey, which is caught and starts anew with them; -1 for a
    predator that is next to it alone. The predators move at once; one that would enter the prey's
    cell stays, and so do both when they would share a cell or change places. Then the prey stays
    or moves to a free cell next to it, each with the same chance. After the pursuit game of Benda
    et al. (1986), and Boehmer et al. (2020), where hunting alone is punished.
    """
    board, start = _board(2, 3), (0, 2, 4)

    def beside(state: State) -> list[bool]:
        return [state[2] in board[cell] for cell in state[:2]]

    def step(state: State, actions: State) -> Chances:
        if all(beside(state)):
            return _sure(start)
        old, prey = state[:2], state[2]
        wanted = tuple(board[c][a] for c, a in zip(old, actions, strict=True))
        cells = tuple(c if to == prey else to for c, to in zip(old, wanted, strict=True))
        if cells[0] == cells[1] or cells == old[::-1]:
            cells = old
        free = sorted(set(board[prey]) - set(cells))
        return [((*cells, cell), 1 / len(free)) for cell in free]

    def reward(state: State) -> list[float]:
        near = beside(state)
        return [3.0, 3.0] if all(near) else [0.0 - one for one in near]

    return _game((len(MOVES),) * 2, _sure(start), step, reward, gamma)


def frozen_lake(*, gamma: float = 0.9) -> MarkovGame:
    """The slippery 4x4 FrozenLake of Gymnasium, one agent, S = 16: states are cells.

    Action 0 goes left, 1 down, 2 right, 3 up. A move goes as chosen or to either side of that, with
    probability 1/3 each. Reward: 5, for Gymnasium's 1, on the goal. From the goal and
    from the four holes every action leads back to the start. After Towers et al. (2024).
    """
    board, ends = _board(4, 4, ((0, -1), (1, 0), (0, 1), (-1, 0))), (5, 7, 11, 12, 15)

    def step(state: State, actions: State) -> Chances:
        cell, action = state[0], actions[0]
        if cell in ends:
            return _sure((0,))
        return [((board[cell][(action + turn) % 4],), 1 / 3) for turn in (-1, 0, 1)]

    return _game((4,), _sure((0,)), step, lambda state: [5.0 * (state[0] == 15)], gamma)


CLASSICS: Mapping[str, Callable[[], MarkovGame]] = {
    "iterated dilemma": iterated_dilemma,
    "stag hunt": stag_hunt,
    "lanes": lanes,
    "hand-over": hand_over,
    "coin": coin,
    "soccer": soccer,
    "predator-prey": predator_prey,
    "FrozenLake": frozen_lake,
}
"""What makes each game, by its name."""


def _board(
    rows: int, columns: int, steps: Sequence[tuple[int, int]] = tuple(MOVES.values())
) -> list[list[int]]:
    """Where each step from each cell ends, as plain numbers."""
    return [[int(to) for to in row] for row in landings(rows, columns, steps)]


def _sure(state: Iterable[int]) -> Chances:
    return [(tuple(state), 1.0)]


def _game(
    actions: Sequence[int],
    start: Chances,
    step: Callable[[State, State], Chances],
    reward: Callable[[State], Sequence[float]],
    gamma: float,
) -> MarkovGame:
    """The game of all states that play reaches, by what each joint action may lead to."""
    joint = list(product(*map(range, actions)))
    follow: dict[State, list[Chances]] = {}
    reached = [state for state, _ in start]
    while reached:
        state = reached.pop()
        if state not in follow:
            follow[state] = [step(state, action) for action in joint]
            reached += {after for chances in follow[state] for after, _ in chances}
    number = {state: i for i, state in enumerate(sorted(follow))}
    transitions = np.zeros((len(number), len(joint), len(number)))
    for state, action in product(number, range(len(joint))):
        for after, chance in follow[state][action]:
            transitions[number[state], action, number[after]] += chance
    begins = np.zeros(len(number))
    for state, chance in start:
        begins[number[state]] += chance
    return MarkovGame(
        actions=actions,
        transitions=transitions,
        rewards=list(np.array([reward(state) for state in number]).T),
        start=begins,
        gamma=gamma,
    )
