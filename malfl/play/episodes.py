"""What was done, episode by episode."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from malfl import checks
from malfl.checks import IntArray, WordArray
from malfl.kernels.steps import Steps
from malfl.values import Value, freeze, set_fields


class Episode(NamedTuple):
    """One episode of T steps."""

    states: IntArray  #: s_0..s_T, shape (T + 1,)
    actions: IntArray  #: joint actions taken in s_0..s_{T-1}, shape (T,)


@dataclass(frozen=True, eq=False, init=False)
class Episodes(Value):
    """Episodes of any lengths, in their order, each of one step or more.

    Parameters
    ----------
    states
        All states, those of the first episode first: of each episode one more than it has steps.
    actions
        All joint actions, numbers in ``0..A-1``.
    lengths
        Steps of each episode, shape (E,).
    n_states, n_joint_actions
        S and A of the game.

    Raises
    ------
    ValueError
        If the numbers of states, actions and steps disagree, or a state or action does not exist.
    """

    packed: Steps  #: for kernels; a step in one integer ``state * A + joint action``
    n_states: int
    n_joint_actions: int

    def __init__(
        self,
        *,
        states: npt.ArrayLike,
        actions: npt.ArrayLike,
        lengths: npt.ArrayLike,
        n_states: int,
        n_joint_actions: int,
    ) -> None:
        size, joint = (
            checks.count(n_states, "n_states"),
            checks.count(n_joint_actions, "n_joint_actions"),
        )
        steps = checks.whole(lengths, "lengths", 1)
        acted = checks.whole(actions, "actions", 0, joint - 1)
        visited = checks.whole(states, "states", 0, size - 1)
        if len(acted) != steps.sum() or len(visited) != len(acted) + len(steps):
            raise ValueError(
                f"lengths add up to {steps.sum()} steps, so there must be as many actions, and "
                f"{len(steps)} states more; got {len(acted)} and {len(visited)}"
            )
        ends = np.append(0, steps.cumsum())
        last = ends[1:] + np.arange(len(steps))  # of each episode, in `states`
        codes = np.delete(visited, last) * joint + acted
        kind = np.min_scalar_type(size * joint - 1)
        self._set(Steps(codes.astype(kind), ends, visited[last].astype(kind)), size, joint)

    def _set(self, packed: Steps, n_states: int, n_joint_actions: int) -> None:
        freeze(*packed)
        set_fields(self, packed=packed, n_states=n_states, n_joint_actions=n_joint_actions)

    @classmethod
    def from_lists(
        cls,
        states: Sequence[npt.ArrayLike],
        actions: Sequence[npt.ArrayLike],
        *,
        n_states: int,
        n_joint_actions: int,
    ) -> Self:
        """Episodes from a list of their states s_0..s_T and one of their joint actions.

        Raises
        ------
        ValueError
            As the constructor does, and if an episode has not one state more than actions.
        """
        size = checks.count(n_states, "n_states")
        joint = checks.count(n_joint_actions, "n_joint_actions")
        visited = [checks.whole(p, f"states[{k}]", 0, size - 1) for k, p in enumerate(states)]
        acted = [checks.whole(p, f"actions[{k}]", 0, joint - 1) for k, p in enumerate(actions)]
        if len(visited) != len(acted):
            raise ValueError(
                f"states and actions must be of the same episodes, got {len(visited)} and "
                f"{len(acted)}"
            )
        for k, (path, done) in enumerate(zip(visited, acted, strict=True)):
            if len(done) == 0:
                raise ValueError(f"actions[{k}] must hold one action or more, got none")
            if len(path) != len(done) + 1:
                raise ValueError(
                    f"states[{k}] must have one state more than there are actions, {len(done)}; "
                    f"got {len(path)}"
                )
        none = [np.empty(0, dtype=np.int64)]
        return cls(
            states=np.concatenate(visited or none), actions=np.concatenate(acted or none),
            lengths=[len(done) for done in acted], n_states=n_states,
            n_joint_actions=n_joint_actions,
        )  # fmt: skip

    @classmethod
    def from_packed(cls, packed: Steps, n_states: int, n_joint_actions: int) -> Self:
        """Episodes from steps as kernels read them, which are not copied."""
        made = cls.__new__(cls)
        made._set(packed, n_states, n_joint_actions)
        return made

    def with_steps(self, codes: WordArray, last: WordArray) -> Self:
        """Episodes of the same lengths with other codes (N,) and last states (E,), not copied."""
        made = type(self).__new__(type(self))
        made._set(Steps(codes, self.packed.ends, last), self.n_states, self.n_joint_actions)
        return made

    def parts(self) -> dict[str, object]:
        """States, actions and lengths, as the constructor takes them."""
        flat = np.empty(self.steps + len(self), dtype=np.int64)
        last = self.packed.ends[1:] + np.arange(len(self))
        between = np.ones(len(flat), dtype=bool)
        between[last] = False
        before, actions, _ = self.moves()
        flat[between], flat[last] = before, self.packed.last
        return {
            "states": flat, "actions": actions, "lengths": self.lengths,
            "n_states": self.n_states, "n_joint_actions": self.n_joint_actions,
        }  # fmt: skip

    @property
    def lengths(self) -> IntArray:
        """Steps of each episode, shape (E,)."""
        return np.diff(self.packed.ends)

    @property
    def steps(self) -> int:
        """Steps of all episodes together."""
        return len(self.packed.codes)

    def moves(self, begin: int = 0, end: int | None = None) -> tuple[IntArray, IntArray, IntArray]:
        """State, joint action and next state of steps in their order, each (N,); all by default."""
        codes, ends, last = self.packed
        end = self.steps if end is None else end
        before, actions = np.divmod(codes[begin:end].astype(np.int64), self.n_joint_actions)
        after = np.zeros_like(before)
        after[:-1] = before[1:]
        if before.size and end < len(codes):
            after[-1] = codes[end] // self.n_joint_actions
        left = slice(*np.searchsorted(ends[1:], [begin, end], side="right"))
        after[ends[1:][left] - 1 - begin] = last[left]
        return before, actions, after

    def counts(self) -> IntArray:
        """How often each joint action was taken in each state, shape (S, A)."""
        shape = self.n_states, self.n_joint_actions
        return np.bincount(self.packed.codes, minlength=shape[0] * shape[1]).reshape(shape)

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self.packed.last)

    def __getitem__(self, number: int) -> Episode:
        """One episode; raises IndexError if there is none of that number."""
        if not 0 <= number < len(self):
            raise IndexError(f"episode must lie in 0..{len(self) - 1}, got {number}")
        codes, ends, last = self.packed
        inside = codes[ends[number] : ends[number + 1]].astype(np.int64)
        before, actions = np.divmod(inside, self.n_joint_actions)
        return Episode(np.append(before, int(last[number])), actions)

    def __iter__(self) -> Iterator[Episode]:
        """Episodes one after the other."""
        return (self[number] for number in range(len(self)))
