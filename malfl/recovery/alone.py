"""What is seen of an agent by somebody who takes it for the only one."""

import numpy as np
from scipy.sparse import csr_array

from malfl.games import Dynamics
from malfl.logs import Observation


def alone(seen: Observation, of: int) -> Observation:
    """Agent ``of`` in a world of its own, in which nobody else learns.

    Where its actions lead is the average over all iterations: the others are a part of a world
    that stays as it is. To recover its reward by LfL as independent learners would, pass the result
    on, with ``of=0``.

    Parameters
    ----------
    seen
        Of a game of any number of agents.
    of
        Not the observer itself.

    Returns
    -------
    Observation
        By a bystander, of a game of one agent with the same states.
    """
    of = seen.check_observed(of)
    dynamics, own = seen.dynamics, seen.dynamics.own_actions[of]
    states, joint, actions = dynamics.n_states, dynamics.n_joint_actions, dynamics.actions[of]
    pair = np.arange(states)[:, None] * actions + own[None, :]
    taken = seen.counts.sum(axis=0)
    total = np.bincount(pair.ravel(), taken.ravel(), states * actions)
    # What was never tried is taken to lead anywhere that the others' actions may bring about.
    shares = np.where(total[pair] > 0, taken / np.maximum(total[pair], 1), actions / joint)
    average = csr_array(
        (shares.ravel(), (pair.ravel(), np.arange(states * joint))),
        shape=(states * actions, states * joint),
    )
    return Observation(
        observer=None,
        dynamics=Dynamics(
            actions=(actions,), transitions=average @ dynamics.transitions,
            start=dynamics.start, gamma=dynamics.gamma,
        ),
        alpha=seen.alpha,
        counts=seen.own_counts(of),
        own_policies=None,
    )  # fmt: skip
