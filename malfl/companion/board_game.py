"""Tic-tac-toe: two beginners learn it, and an observer who knows only the moves watches them.

What is worth something is how a game ends. Learners are told; the observer is not. The learners
here are of this file's own making and know nothing of the rest of malfl.
"""

import os
from collections.abc import Hashable, Sequence
from functools import cache
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from malfl.checks import FloatArray, IntArray
from malfl.companion.explore import whole
from malfl.data import PlayLog, Recorder, read_log
from malfl.evaluation.metrics import pearson
from malfl.games.markov import MarkovGame
from malfl.games.pettingzoo import from_pettingzoo
from malfl.recovery import Features, RecoveredReward, Replay, recover
from malfl.studies.study import run_all

CELLS = 9
Key = Hashable


class Board(NamedTuple):
    """The game, and what the observer may use of it: everything but what is worth something."""

    game: MarkovGame
    keys: tuple[Key, ...]  #: of states, as `Recorder` takes them
    squares: IntArray  #: (S, 9), 0 where a square is free, else 1 or 2
    player: IntArray  #: (S,), 0 or 1, whose turn it is; -1 where the game has ended
    after: IntArray  #: (S, 9), the position that taking a square leads to, -1 if it is taken
    worth: FloatArray  #: (2, S), what an end is worth to each; 0 elsewhere

    @property
    def ends(self) -> IntArray:
        """The positions in which the game has ended."""
        return np.flatnonzero(self.game.ends)

    @property
    def order(self) -> IntArray:
        """Positions, those with fewer squares taken first."""
        return np.argsort((self.squares > 0).sum(axis=1), kind="stable")


def new_environment() -> Any:  # noqa: ANN401
    """PettingZoo's tic-tac-toe, without the checks that are wrapped around it."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")  # which it prints when imported
    from pettingzoo.classic.tictactoe.tictactoe import raw_env

    return raw_env()


def key_of(env: Any) -> Key:  # noqa: ANN401
    """Whose turn it is, and what is on the board."""
    return env.agent_selection, tuple(env.board.squares)


@cache
def board(gamma: float) -> Board:
    """All that can happen in the game; see `malfl.games.from_pettingzoo`."""
    game, keys, agents = from_pettingzoo(new_environment(), gamma=gamma, key=key_of)
    named: tuple[Any, ...] = keys
    shown = [key[1] if key[0] == "end" else key for key in named]
    player = np.array([agents.index(who) for who, _ in shown])
    player[game.ends] = -1
    rows, to = game.transitions.nonzero()
    state, moves = rows // game.n_joint_actions, np.divmod(rows % game.n_joint_actions, CELLS)
    after = np.full((game.n_states, CELLS), -1)
    after[state, np.where(player[state] == 0, *moves)] = to
    worth = np.zeros((2, game.n_states))
    for i, reward in enumerate(game.rewards):
        worth[i, to] = np.where(game.ends[to], np.ravel(reward)[rows], 0.0)
    squares = np.array([squares for _, squares in shown])
    return Board(game, keys, squares, player, after, worth)


class Beginner:
    """Learns by temporal differences what positions and its moves are worth to it, and keeps that.

    It plays one policy while it learns, the softmax of what it knew before.

    Parameters
    ----------
    alpha, beta, gamma
        Entropy coefficient, step size and discount factor.
    """

    def __init__(self, alpha: float, beta: float, gamma: float, rng: np.random.Generator) -> None:
        self.alpha, self.beta, self.gamma, self.rng = alpha, beta, gamma, rng
        self.q: dict[Key, FloatArray] = {}
        self.policy: dict[Key, FloatArray] = {}
        self.entropy: dict[Key, float] = {}

    def meet(self, position: Key, moves: int) -> None:
        """A position where there are so many moves; one if another player is on turn."""
        if position not in self.q:
            self.q[position] = np.zeros(moves)
            self.policy[position] = np.full(moves, 1 / moves)
            self.entropy[position] = self.alpha * np.log(moves)

    def choose(self, position: Key) -> int:
        """One of the moves, at random by the policy."""
        chances = self.policy[position].cumsum()
        return int(np.searchsorted(chances[:-1], self.rng.random(), side="right"))

    def worth(self, position: Key) -> float:
        """What it expects there, entropy included."""
        return float(self.policy[position] @ self.q[position] + self.entropy[position])

    def update(self, position: Key, move: int, target: float) -> None:
        """Go a step towards what came after a move, discounted."""
        q = self.q[position]
        q[move] += self.beta * (self.gamma * target - q[move])

    def improve(self) -> None:
        """Go over to the softmax of what it has learned."""
        for position, q in self.q.items():
            weights = np.exp((q - q.max()) / self.alpha)
            policy = self.policy[position] = weights / weights.sum()
            logs = np.log(policy, out=np.zeros_like(policy), where=policy > 0)
            self.entropy[position] = -self.alpha * float(policy @ logs)


class Watched(NamedTuple):
    """What an observer saw, and how good the players had become by the end."""

    log: PlayLog
    last: FloatArray  #: (S, 9), the policy of whoever is on turn after the last improvement


def watch(
    on: Board, *, alpha: float, beta: float, iterations: int, games: int, seed: int
) -> Watched:
    """Two learners play so many games in each iteration; all goes through PettingZoo's interface.

    Parameters
    ----------
    alpha, beta
        As for `Beginner`.
    iterations, games
        At least 1 each; games are in an iteration.
    """
    env = Recorder(new_environment(), key_of, on.keys)
    chance = np.random.default_rng(seed).spawn(2)
    learners = [Beginner(alpha, beta, on.game.gamma, rng) for rng in chance]
    for h in range(iterations):
        if h > 0:
            env.next_iteration()
        for _ in range(games):
            _play(env, learners)
        for one in learners:
            one.improve()
    log = read_log(env.table(), game=on.game.without_rewards(), alpha=alpha)
    last = np.where(on.after >= 0, 1.0, 0.0)
    for s in np.flatnonzero(on.player >= 0):
        position = tuple(on.squares[s])
        known = learners[on.player[s]].policy.get(position)
        if known is not None:
            last[s, on.after[s] >= 0] = known
    return Watched(log, last / np.maximum(last.sum(axis=1, keepdims=True), 1e-300))


def _play(env: Recorder, learners: list[Beginner]) -> None:
    """One game, from which both learn as it goes."""
    env.reset()
    names = env.possible_agents
    position, over = tuple(env.board.squares), False
    while not over:
        mover = names.index(env.agent_selection)
        free = [cell for cell in range(CELLS) if position[cell] == 0]
        for i, one in enumerate(learners):
            one.meet(position, len(free) if i == mover else 1)
        move = learners[mover].choose(position)
        env.step(free[move])
        then, over = tuple(env.board.squares), env.terminations[names[mover]]
        for i, one in enumerate(learners):
            if over:
                target = env.rewards[names[i]]
            else:
                one.meet(then, 1 if i == mover else len(free) - 1)
                target = one.worth(then)
            one.update(position, move if i == mover else 0, target)
        position = then


def alike(on: Board) -> IntArray:
    """Numbers (E,) of ends, the same for those that are turned or mirrored images."""
    squares = on.squares[on.ends].reshape(-1, 3, 3)
    turned = [np.rot90(squares, k, axes=(1, 2)) for k in range(4)]
    images = np.stack([image for one in turned for image in (one, one[:, :, ::-1])])
    codes = images.reshape(8, -1, CELLS) @ 3 ** np.arange(CELLS)
    return np.unique(codes.min(axis=0), return_inverse=True)[1]


def of_ends(on: Board, groups: IntArray) -> FloatArray:
    """Features (S, K) of rewards that only ends have, the same for all of a group."""
    features = np.zeros((on.game.n_states, int(groups.max()) + 1))
    features[on.ends, groups] = 1.0
    return features


def best_moves(on: Board, worth: FloatArray) -> IntArray:
    """The move (S,) in each position of who plays for an end's worth (S,), or for its opposite.

    Player 0 wants it high and player 1 low, and both expect that of each other. -1 at ends.
    """
    value, best = np.where(on.game.ends, worth, 0.0), np.full(on.game.n_states, -1)
    for s in on.order[::-1]:
        if on.player[s] < 0:
            continue
        sign = 1.0 if on.player[s] == 0 else -1.0
        ahead = np.where(on.after[s] >= 0, sign * value[on.after[s]], -np.inf)
        best[s] = int(ahead.argmax())
        value[s] = on.game.gamma * sign * ahead[best[s]]
    return best


def share_lost(on: Board, policies: tuple[FloatArray, FloatArray], me: int) -> float:
    """How many of the games a player loses if both play so, each (S, 9); exactly."""
    chance, lost = np.zeros(on.game.n_states), 0.0
    chance[on.order[0]] = 1.0
    for s in on.order:
        if on.player[s] < 0:
            lost += chance[s] * (on.worth[me, s] < 0)
            continue
        legal = on.after[s] >= 0
        chance[on.after[s, legal]] += chance[s] * policies[on.player[s]][s, legal]
    return float(lost)


def recovered(on: Board, seen: Watched, *, beta: float, tied: bool) -> list[RecoveredReward]:
    """What both players are found to want of the ends, by their own updates made again.

    Parameters
    ----------
    beta
        The learners' step size.
    tied
        Whether ends that are turned or mirrored images of each other have the same worth.
    """
    groups = alike(on) if tied else np.arange(on.ends.size)
    by = Replay(beta, reward_class=Features(of_ends(on, groups)), kept=True)
    return [recover(seen.log.seen_by(None), of=i, by=by, unvisited="omit") for i in (0, 1)]


def difference(found: Sequence[RecoveredReward]) -> FloatArray:
    """Half of what ends (S,) are worth to player 0 beyond what they are worth to player 1."""
    first, second = (np.nan_to_num(one.values) for one in found)
    return np.asarray((first - second) / 2)


def losses(on: Board, seen: Watched, worth: FloatArray) -> pd.DataFrame:
    """Shares of games lost by three players, on either side, to two opponents; exactly.

    Parameters
    ----------
    worth
        What the observer plays for, (S,), as `best_moves` takes it.

    Returns
    -------
    DataFrame
        Columns ``player``, ``side``, ``against`` and ``lost``.
    """
    perfect = always(on, best_moves(on, on.worth[0] - on.worth[1]))
    players = {
        "last learner": seen.last,
        "clone": clone(on, seen.log),
        "observer": always(on, best_moves(on, worth)),
    }
    rows = []
    for player, own in players.items():
        for me, side in enumerate(("first", "second")):
            for against, other in (("last learner", seen.last), ("perfect play", perfect)):
                lost = share_lost(on, (own, other) if me == 0 else (other, own), me)
                rows.append({"player": player, "side": side, "against": against, "lost": lost})
    return pd.DataFrame(rows)


def ends_found(on: Board, found: Sequence[RecoveredReward]) -> pd.DataFrame:
    """A row for each player and end: what it is worth, and what it was found to be worth."""
    outcome = {1: "won", 0: "drawn", -1: "lost"}
    return pd.concat(
        pd.DataFrame({
            "player": ("first", "second")[i],
            "position": ["".join(".XO"[k] for k in row) for row in on.squares[on.ends]],
            "outcome": [outcome[int(true)] for true in on.worth[i, on.ends]],
            "true": on.worth[i, on.ends],
            "found": np.nan_to_num(one.values)[on.ends],
        })
        for i, one in enumerate(found)
    )  # fmt: skip


def repeated(
    calls: Sequence[tuple[int, int, bool]],
    *,
    alpha: float,
    beta: float,
    gamma: float,
    iterations: int,
    store: str | PathLike[str] | None = None,
) -> pd.DataFrame:
    """The whole of it several times, a row each.

    Parameters
    ----------
    calls
        Games an iteration, seed, and whether ends are tied by symmetry.
    store
        As for `malfl.Study.scores`.

    Returns
    -------
    DataFrame
        Correlations of found and true worth, verdicts, and shares of games lost, the mean over both
        sides.
    """
    settings = [(alpha, beta, gamma, iterations, *call) for call in calls]
    return pd.DataFrame(run_all(_repeat, settings, store=store))


def _repeat(
    alpha: float, beta: float, gamma: float, iterations: int, games: int, seed: int, tied: bool
) -> dict[str, Any]:
    on = board(gamma)
    seen = watch(on, alpha=alpha, beta=beta, iterations=iterations, games=games, seed=seed)
    found = recovered(on, seen, beta=beta, tied=tied)
    row: dict[str, Any] = {"games": games, "seed": seed, "ends": "tied" if tied else "free"}
    for i, (one, side) in enumerate(zip(found, ("first", "second"), strict=True)):
        values = np.nan_to_num(one.values)[on.ends]
        row[f"PCC {side}"] = pearson(values, on.worth[i, on.ends])
        row[f"verdict {side}"] = one.verdict
    lost = losses(on, seen, difference(found)).groupby(["player", "against"])["lost"].mean()
    shares = zip(lost.index.to_flat_index(), lost, strict=True)
    return row | {f"{player}, {against}": share for (player, against), share in shares}


def to_play(on: Board, seen: Watched, worth: FloatArray) -> dict[str, Any]:
    """What the page needs to play for the observer and for the last learner.

    Returns
    -------
    dict
        Positions are numbers, the squares' digits 0 to 2 to base 3, the first the lowest.
        ``"gamma"``: the discount factor. ``"ends"``: by position, what the observer thinks it is
        worth to the first player, in thousandths, and what it is worth. ``"learner"``: by position,
        hundredths of the last learner's policy over the free squares.
    """
    codes = on.squares @ 3 ** np.arange(CELLS)
    thought = whole(worth, 1000)
    ends = {str(codes[s]): [thought[s], int(on.worth[0, s])] for s in on.ends}
    learner = {
        str(codes[s]): whole(seen.last[s, on.after[s] >= 0], 100)
        for s in np.flatnonzero(on.player >= 0)
    }
    return {"gamma": on.game.gamma, "ends": ends, "learner": learner}


def always(on: Board, moves: IntArray) -> FloatArray:
    """The policy (S, 9) that plays these moves (S,)."""
    policy = np.zeros(on.after.shape)
    played = moves >= 0
    policy[played, moves[played]] = 1.0
    return policy


def clone(on: Board, log: PlayLog) -> FloatArray:
    """The policy (S, 9) that plays as both learners were last seen to, at random where unseen."""
    counts = log.counts[-1].reshape(on.game.n_states, CELLS, CELLS)
    seen = np.where((on.player == 0)[:, None], counts.sum(axis=2), counts.sum(axis=1))
    legal = on.after >= 0
    seen = np.where(seen.sum(axis=1, keepdims=True) > 0, seen, legal) * legal
    return np.asarray(seen / np.maximum(seen.sum(axis=1, keepdims=True), 1))
