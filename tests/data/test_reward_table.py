import numpy as np
import pytest

import malfl
from malfl.recovery.reward import NoFit


def test_a_row_for_each_entry():
    values = np.arange(6.0).reshape(3, 2)
    reward = malfl.RecoveredReward(values, "state-action", NoFit(), deviation=values / 10)
    table = malfl.reward_table(reward, states=list("abc"), actions=["go", "stay"])
    assert table.columns.tolist() == ["state", "action", "reward", "deviation"]
    assert table.state.tolist() == list("aabbcc")
    assert table.action.tolist() == ["go", "stay"] * 3
    assert table.reward.tolist() == list(range(6))
    assert table.deviation.tolist() == [k / 10 for k in range(6)]


def test_numbers_where_there_are_no_names():
    joint = malfl.RecoveredReward(np.zeros((2, 3)), "joint-action", NoFit())
    table = malfl.reward_table(joint)
    assert table.columns.tolist() == ["state", "joint_action", "reward"]
    assert table.joint_action.tolist() == [0, 1, 2] * 2
    state = malfl.reward_table(malfl.RecoveredReward(np.zeros(2), "state", NoFit()))
    assert state.columns.tolist() == ["state", "reward"]


def test_names_are_as_many_as_what_they_name():
    reward = malfl.RecoveredReward(np.zeros((2, 3)), "state-action", NoFit())
    with pytest.raises(ValueError, match="states must be 2 names, got 1"):
        malfl.reward_table(reward, states=["a"])
    with pytest.raises(ValueError, match="actions must be 3 names, got 2"):
        malfl.reward_table(reward, actions=["a", "b"])
