"""The rules of a game as the moves that were seen show them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import coo_array, csr_array

from malfl import checks
from malfl.checks import BoolArray
from malfl.games.markov import Dynamics
from malfl.play.episodes import Episodes
from malfl.play.view import View
from malfl.recovery.by_prefix import PreparedByPrefix
from malfl.recovery.estimator import Estimator, Prepared, check_estimator
from malfl.values import Value, set_fields

AT_ONCE = 2**20  # steps, of which a few copies are made


def estimate_rules(view: View, smoothing: float = 0.0) -> Dynamics:
    """The rules of the game by the moves that were seen: shares of the next states.

    Start and discount, and what is legal and where episodes end, are those of ``view``.

    Parameters
    ----------
    smoothing
        So many moves, 0 or more, count as seen before any was: with the shares of all moves from
        the same state. Where nothing was seen and none count so, every next state is as likely.

    Raises
    ------
    TypeError, ValueError
        If episodes were not recorded, or ``smoothing`` is negative.
    """
    checks.instance(view, View, "view", "see LearningLog.seen_by")
    if view.episodes is None:
        raise ValueError("view has no episodes; learn with record=True")
    dynamics = view.dynamics
    return Dynamics(
        actions=dynamics.actions,
        transitions=shares_of_moves(view.episodes, dynamics.possible, smoothing),
        start=dynamics.start,
        gamma=dynamics.gamma,
        ends=dynamics.ends,
        legal=dynamics.legal,
    )


def shares_of_moves(
    played: Sequence[Episodes], possible: BoolArray, smoothing: float = 0.0
) -> csr_array:
    """Shares of next states (S * A, S), as `estimate_rules`, of what is possible, (S, A)."""
    smoothing = checks.not_negative(smoothing, "smoothing")
    states, joint = possible.shape
    moves = csr_array((states * joint, states), dtype=np.float64)
    for each in played:
        for begin in range(0, each.steps, AT_ONCE):
            before, actions, after = each.moves(begin, min(begin + AT_ONCE, each.steps))
            seen_once = (np.ones(after.size), (before * joint + actions, after))
            moves = moves + csr_array(coo_array(seen_once, shape=moves.shape))
    if smoothing > 0:
        state_of = np.repeat(np.arange(states), joint)
        of_state = csr_array((np.ones(state_of.size), (state_of, np.arange(state_of.size)))) @ moves
        shares = smoothing / np.maximum(of_state.sum(axis=1), 1)
        usual = csr_array(of_state * shares[:, None])
        moves = csr_array(moves + usual[state_of])
    total = np.asarray(moves.sum(axis=1))
    moves.data /= np.repeat(total, np.diff(moves.indptr))
    (never,) = np.nonzero((total == 0) & possible.ravel())
    checks.memory(32 * never.size * states, f"{never.size} unseen moves", "observe more episodes")
    anywhere = csr_array(
        (
            np.full(never.size * states, 1 / states),
            (np.repeat(never, states), np.tile(np.arange(states), never.size)),
        ),
        shape=moves.shape,
    )
    return csr_array(moves + anywhere)


@dataclass(frozen=True)
class WithEstimatedRules(Value):
    """Another estimator for an observer who does not know the rules of the game.

    Parameters
    ----------
    estimator
        Who is given the rules of `estimate_rules` in place of the true ones.
    iterations
        From how many of the first iterations they are estimated; all that are used if there
        are fewer, and by default.
    """

    estimator: Estimator
    iterations: int | None = None

    needs_steps = True
    needs_rules = False

    def __post_init__(self) -> None:
        check_estimator(self.estimator, "estimator")
        if self.iterations is not None:
            set_fields(self, iterations=checks.count(self.iterations, "iterations"))

    @property
    def needs_improvements(self) -> bool:
        """As the estimator does."""
        return self.estimator.needs_improvements

    def prepare(self, view: View, agent: int, rng: np.random.Generator) -> Prepared:
        """See `malfl.recovery.estimator.Estimator`."""
        return PreparedByPrefix(self.estimator, view, lambda part: self.changed(part, agent), rng)

    def changed(self, view: View, agent: int) -> tuple[View, int]:
        """The view that the other estimator is given, and the agent in it."""
        seen = view.first(min(self.iterations or view.iterations, view.iterations))
        return replace(view, dynamics=estimate_rules(seen)), agent
