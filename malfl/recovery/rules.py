"""The rules of a game as the moves that were seen show them."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import coo_array, csr_array

from malfl import checks
from malfl.games.markov import Dynamics
from malfl.play.view import View
from malfl.recovery.by_prefix import PreparedByPrefix
from malfl.recovery.estimator import Estimator, Prepared, check_estimator
from malfl.values import Value, set_fields


def estimate_rules(view: View) -> Dynamics:
    """The rules of the game by the moves that were seen: shares of the next states.

    Where a joint action was never tried in a state, every next state counts as equally likely.
    Start and discount are those of ``view``.

    Raises
    ------
    ValueError
        If episodes were not recorded.
    """
    checks.instance(view, View, "view", "see LearningLog.seen_by")
    if view.episodes is None:
        raise ValueError("view has no episodes; learn with record=True")
    dynamics = view.dynamics
    states, joint = dynamics.n_states, dynamics.n_joint_actions
    parts = []
    for played in view.episodes:
        before, actions, after = played.moves()
        seen_once = (np.ones(after.size), (before * joint + actions, after))
        parts.append(csr_array(coo_array(seen_once, shape=(states * joint, states))))
    moves = csr_array(sum(parts[1:], start=parts[0]))
    total = np.asarray(moves.sum(axis=1))
    moves.data /= np.repeat(total, np.diff(moves.indptr))
    (never,) = np.nonzero(total == 0)
    checks.memory(32 * never.size * states, f"{never.size} unseen moves", "observe more episodes")
    anywhere = csr_array(
        (
            np.full(never.size * states, 1 / states),
            (np.repeat(never, states), np.tile(np.arange(states), never.size)),
        ),
        shape=moves.shape,
    )
    return Dynamics(
        actions=dynamics.actions,
        transitions=csr_array(moves + anywhere),
        start=dynamics.start,
        gamma=dynamics.gamma,
        ends=dynamics.ends,
        legal=dynamics.legal,
    )


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
