"""A game played by kernels: tables to look up in, and episodes in blocks."""

import math
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from malfl import checks, progress
from malfl.checks import FloatArray, IntArray, WordArray
from malfl.games.markov import Dynamics, Policies
from malfl.games.soft import joint_probabilities
from malfl.kernels.alias import fill_slots
from malfl.kernels.walk import WARM_UP, Tables, begin, count, walk

CODES = 2**32  # a state and a joint action share 32 bits
JOINT_SLOTS = 2**22  # up to here one table serves all agents together
LANES = 32, 4096  # episodes under way at once, at least (if there are so many) and at most
CALL_STEPS = 2**16  # steps that a call of a kernel makes, about; it lasts less than a millisecond
BLOCK_STEPS = 2**22  # and at most, where episodes must stay whole
WORDS = 2**9  # random words drawn ahead

T = TypeVar("T", bound=np.generic)


class Block(NamedTuple):
    """Steps of neighbouring episodes, packed as `malfl.kernels.walk` does.

    An episode that ended before stays where it ended.
    """

    codes: WordArray  # (L, n), or one step more if an episode is cut there
    steps: int  # n
    episode: int  # of the first lane
    step: int  # of the first column
    reached: WordArray  # (L,), the state after the last column, packed likewise


class Player:
    """Tables of a game, made once; they serve any number of joint policies.

    Raises
    ------
    ValueError
        If the game is too large to pack a state and a joint action into 32 bits.
    MemoryError
        If there is no room for the tables.
    """

    def __init__(self, dynamics: Dynamics) -> None:
        states, joint = dynamics.n_states, dynamics.n_joint_actions
        self.bits = bits_for(joint)
        if not can_pack(dynamics):
            raise ValueError(
                f"{states} states and {joint} joint actions do not fit in one code: {states} << "
                f"{self.bits} is above the limit of 2 ** 32; sample_counts(method='occupancy') and "
                "malfl.soft have no such limit"
            )
        self.dynamics = dynamics
        self.jointly = states << self.bits <= JOINT_SLOTS or dynamics.n_agents == 1
        choosers = (joint,) if self.jointly else dynamics.actions
        self.choice_bits = tuple(bits_for(n) for n in choosers)
        self.choice_sizes = choosers
        slots = sum(states << b for b in self.choice_bits)
        widest = 0 if dynamics.is_deterministic else int(np.diff(dynamics.transitions.indptr).max())
        rows = states * joint << bits_for(widest) if widest else 0
        checks.memory(
            8 * slots + (16 if widest else 12) * (states << self.bits) + 12 * rows,  # counts too
            f"tables of {states} states and {joint} joint actions",
            "use a smaller game, or malfl.soft, which needs no tables",
        )
        self.start_bits = bits_for(states)
        self.start = _alias_tables(dynamics.start[None, :], self.start_bits)
        self.moves, self.row_slots, self.successors = self._moves()

    def tables(self, policies: Policies) -> Tables:
        """Look-up tables for a joint policy."""
        one = (joint_probabilities(self.dynamics, policies),)
        choosers = one if self.jointly else policies
        return Tables(
            bits=self.bits,
            choices=tuple(
                _alias_tables(odds, b) for odds, b in zip(choosers, self.choice_bits, strict=True)
            ),
            choice_bits=self.choice_bits,
            choice_sizes=self.choice_sizes,
            moves=self.moves,
            row_slots=self.row_slots,
            successors=self.successors,
        )

    @cached_property
    def own_pairs(self) -> tuple[WordArray, ...]:
        """For each agent its (s, a^i) in each code, as ``s * A_i + a^i``, (S << bits,)."""
        states = np.arange(self.dynamics.n_states)[:, None]
        return tuple(
            self.by_code((states * size + own).astype(np.uint32))
            for size, own in zip(self.dynamics.actions, self.dynamics.own_actions, strict=True)
        )

    def by_code(self, by_joint_action: npt.NDArray[T]) -> npt.NDArray[T]:
        """An (S, A) array laid out by code, (S << bits,)."""
        states, joint = by_joint_action.shape
        padded = np.zeros((states, 1 << self.bits), dtype=by_joint_action.dtype)
        padded[:, :joint] = by_joint_action
        return padded.ravel()

    def play(
        self, policies: Policies, episodes: int, steps: int, rng: np.random.Generator
    ) -> Iterator[Block]:
        """Episodes of a joint policy in their order, with an action drawn ahead of each step.

        They are whole, unless one is too long for a block and comes in pieces, one after the
        other. A block is overwritten by the next one.
        """
        tables = self.tables(policies)
        lanes = max(1, min(_lanes(episodes, steps), BLOCK_STEPS // steps))
        piece = min(steps, BLOCK_STEPS)
        room = np.empty(lanes * (piece + 1), dtype=np.uint64)
        for group in self._groups(episodes, lanes, rng):
            carried = 0
            for step in range(0, steps, piece):
                n = min(piece, steps - step)
                codes = room[: group.size * (carried + n)].reshape(group.size, carried + n)
                walk(*group.take(n), tables, group.words, codes[:, carried:])
                cut = step + n < steps
                yield Block(codes, carried + n - cut, group.episode, step - carried, group.bases)
                if cut:  # what was drawn ahead of the last step may be the one that follows
                    carried = 1
                    codes[:, 0] = codes[:, -1]

    def count(
        self,
        policies: Policies,
        episodes: int,
        steps: int,
        rng: np.random.Generator,
        counts: IntArray,
    ) -> None:
        """Add the steps of `play` to ``counts`` (S, A)."""
        tables = self.tables(policies)
        lanes = _lanes(episodes, steps)
        piece = max(1, CALL_STEPS // lanes)
        padded = np.zeros((len(counts), 1 << self.bits), dtype=np.int64)
        for group in self._groups(episodes, lanes, rng):
            for step in range(0, steps, piece):
                n = min(piece, steps - step)
                count(*group.take(n), tables, group.words, n, padded.ravel())
                progress.advance(n * group.size)
        padded[self.dynamics.ends] = 0  # where lanes wait for the others
        counts += padded[:, : counts.shape[1]]

    def _groups(self, episodes: int, lanes: int, rng: np.random.Generator) -> Iterator["_Group"]:
        keys = rng.integers(2**64, size=2, dtype=np.uint64)
        draws = len(self.choice_bits) + (self.row_slots.size > 0)
        group = _Group(lanes, draws)
        for episode in range(0, episodes, lanes):
            if episodes - episode < lanes:
                group = _Group(episodes - episode, draws)
            group.episode, group.drawn = episode, WARM_UP + 2
            begin(keys, episode, self.start, self.start_bits, self.bits, group.streams, group.bases)
            yield group

    def _moves(self) -> tuple[WordArray, WordArray, WordArray]:
        matrix, states = self.dynamics.played_transitions, self.dynamics.n_states
        joint = self.dynamics.n_joint_actions
        none = np.empty(0, dtype=np.uint64)
        if self.dynamics.is_deterministic:
            reached = (matrix.indices.astype(np.uint64) << self.bits).astype(np.uint32)
            return self.by_code(reached.reshape(-1, joint)), none, none.astype(np.uint32)
        counts = np.diff(matrix.indptr)
        row_bits = np.array([bits_for(n) for n in range(int(counts.max()) + 1)])[counts]
        slots, successors, places, filled = [], [], np.empty(states * joint, np.uint64), 0
        for bits in np.unique(row_bits)[::-1]:  # so that every table is aligned to its size
            rows = np.flatnonzero(row_bits == bits)
            entry = np.arange(1 << bits)[None, :]
            inside = entry < counts[rows, None]
            at = np.where(inside, matrix.indptr[rows, None] + entry, 0)
            slots.append(_alias_tables(np.where(inside, matrix.data[at], 0.0), int(bits)))
            successors.append((matrix.indices[at].astype(np.uint64) << self.bits).ravel())
            places[rows] = (filled + (np.arange(len(rows)) << bits)) << 6 | bits
            filled += len(rows) << int(bits)
        moves = self.by_code(places.reshape(-1, joint))
        return moves, np.concatenate(slots), np.concatenate(successors).astype(np.uint32)


class _Group:
    """Neighbouring episodes under way: room that one group leaves to the next."""

    def __init__(self, size: int, draws: int) -> None:
        self.size, self.draws = size, draws
        self.streams = _aligned(3, size)
        self.bases = _aligned(size)
        self.words = _aligned(max(1, WORDS // (size * draws)), draws, size)
        self.episode, self.drawn = 0, 0

    def take(self, steps: int) -> tuple[WordArray, WordArray, int]:
        """Streams, states and the number of the draw from which to go on for ``steps`` steps."""
        first = self.drawn
        self.drawn += steps * self.draws
        return self.streams, self.bases, first


def _lanes(episodes: int, steps: int) -> int:
    """How many episodes are under way at once."""
    least, most = LANES
    return min(episodes, max(least, min(most, CALL_STEPS // steps // 8 * 8)))


def _aligned(*shape: int) -> WordArray:
    """Room for words that begins with a cache line, where vectors of them are read faster."""
    size = math.prod(shape)
    room = np.empty(size + 7, dtype=np.uint64)
    first = -room.ctypes.data // 8 % 8
    return room[first : first + size].reshape(shape)


def can_pack(dynamics: Dynamics) -> bool:
    """Whether a state and a joint action fit in one code."""
    return dynamics.n_states << bits_for(dynamics.n_joint_actions) <= CODES


def bits_for(outcomes: int) -> int:
    """Bits that hold ``outcomes`` numbers, and that alias tables work with."""
    return max(2, (outcomes - 1).bit_length())


def _alias_tables(odds: FloatArray, bits: int) -> WordArray:
    slots = np.empty(len(odds) << bits, dtype=np.uint64)
    fill_slots(odds, bits, slots)
    return slots
