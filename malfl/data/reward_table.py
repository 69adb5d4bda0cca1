"""A recovered reward as a table."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from malfl import checks
from malfl.recovery.reward import RecoveredReward


def reward_table(
    reward: RecoveredReward,
    *,
    states: Sequence[str] | None = None,
    actions: Sequence[str] | None = None,
) -> pd.DataFrame:
    """A row for each entry: state, action if the reward has one, reward and posterior deviation.

    Parameters
    ----------
    states, actions
        Names, in the order of their numbers; by default the numbers.

    Raises
    ------
    TypeError, ValueError
        If there are not as many names as there are states or actions.
    """
    checks.instance(reward, RecoveredReward, "reward", "see malfl.recover")
    shape, joint = reward.values.shape, reward.reward_class == "joint-action"
    columns: dict[str, object] = {"state": np.indices(shape)[0].ravel()}
    if states is not None:
        found = checks.names(states, "states", shape[0])
        columns["state"] = [found[s] for s in np.indices(shape)[0].ravel()]
    named = checks.action_names(actions, shape)
    if len(shape) == 2:
        own = np.indices(shape)[1].ravel()
        columns["joint_action" if joint else "action"] = (
            own if named is None else [named[a] for a in own]
        )
    columns["reward"] = reward.values.ravel()
    if reward.deviation is not None:
        columns["deviation"] = reward.deviation.ravel()
    return pd.DataFrame(columns)
