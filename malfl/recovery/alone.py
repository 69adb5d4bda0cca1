"""An agent as somebody sees it who assumes that it is the only one."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from malfl import checks
from malfl.games.markov import Dynamics
from malfl.play.view import View
from malfl.recovery.by_prefix import PreparedByPrefix
from malfl.recovery.estimator import Estimator, Prepared, check_estimator
from malfl.values import Value


def as_if_alone(view: View, of: int) -> View:
    """Agent ``of`` in a world of its own, in which nobody else learns.

    Where its actions lead is the average over all iterations: the others are a part of a world
    that stays as it is. `AsIfAlone` recovers its reward from the result.

    Parameters
    ----------
    view
        Of a game of any number of agents.
    of
        Not the observer itself.

    Returns
    -------
    View
        By a bystander, of a game of one agent with the same states.
    """
    checks.instance(view, View, "view", "see LearningLog.seen_by")
    of = view.check_observed(of)
    dynamics, own = view.dynamics, view.dynamics.own_actions[of]
    states, joint, actions = dynamics.n_states, dynamics.n_joint_actions, dynamics.actions[of]
    pair = np.arange(states)[:, None] * actions + own[None, :]
    taken = view.counts.sum(axis=0)
    total = np.bincount(pair.ravel(), taken.ravel(), states * actions)
    # What was never tried is taken to lead anywhere that the others' actions may bring about.
    ways = dynamics.possible.sum(axis=1, keepdims=True) / dynamics.legal[of].sum(axis=1)[:, None]
    open_to = dynamics.possible / np.maximum(ways, 1)
    shares = np.where(total[pair] > 0, taken / np.maximum(total[pair], 1), open_to)
    average = csr_array(
        (shares.ravel(), (pair.ravel(), np.arange(states * joint))),
        shape=(states * actions, states * joint),
    )
    return View(
        observer=None,
        dynamics=Dynamics(
            actions=(actions,), transitions=average @ dynamics.transitions,
            start=dynamics.start, gamma=dynamics.gamma, ends=dynamics.ends,
            legal=[dynamics.legal[of]],
        ),
        alpha=view.alpha,
        counts=view.own_counts(of),
        own_policies=None,
    )  # fmt: skip


@dataclass(frozen=True)
class AsIfAlone(Value):
    """Another estimator for an observer who assumes that the agent is the only one.

    So independent learners would use LfL.

    Parameters
    ----------
    estimator
        Needs counts only: steps of an agent in a world of its own were never seen.

    Raises
    ------
    ValueError
        If the estimator needs steps.
    """

    estimator: Estimator

    needs_steps = False

    def __post_init__(self) -> None:
        check_estimator(self.estimator, "estimator")
        if self.estimator.needs_steps:
            raise ValueError(f"estimator must do without steps, got {self.estimator}")

    @property
    def needs_improvements(self) -> bool:
        """As the estimator does."""
        return self.estimator.needs_improvements

    def prepare(self, view: View, agent: int, rng: np.random.Generator) -> Prepared:
        """See `malfl.recovery.estimator.Estimator`."""
        return PreparedByPrefix(self.estimator, view, lambda part: self.changed(part, agent), rng)

    def changed(self, view: View, agent: int) -> tuple[View, int]:
        """The view that the other estimator is given, and the agent in it."""
        return as_if_alone(view, agent), 0
