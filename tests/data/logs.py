"""Small logs as tables."""

import numpy as np
import pandas as pd

import malfl
from malfl import gridworlds


def played(agents=2, seed=0, iterations=3, episodes=5, steps=9):
    """A game, and what two agents did in it."""
    game = gridworlds.ma_lfl(size=2) if agents == 2 else gridworlds.lfl()
    log = malfl.learn(
        game, iterations=iterations, episodes=episodes, steps=steps, seed=seed, record=True
    )
    return game, log


def table(log):
    """A row for each step of a log."""
    rows = []
    for h, episodes in enumerate(log.episodes):
        for k, (states, actions) in enumerate(episodes):
            for t, action in enumerate(actions):
                own = np.unravel_index(action, log.game.actions)
                rows.append((h, k, t, states[t], *own, states[t + 1]))
    agents = [f"action_{i}" for i in range(log.game.n_agents)]
    names = ["iteration", "episode", "step", "state", *agents, "next_state"]
    return pd.DataFrame(rows, columns=names).astype(int)


def small(**changed):
    """Two episodes of one agent, the first of which ends; with some columns changed."""
    columns = {
        "iteration": [0, 0, 0, 1, 1],
        "episode": [0, 0, 0, 0, 0],
        "step": [0, 1, 2, 0, 1],
        "state": [0, 1, 0, 0, 0],
        "action": [1, 0, 1, 0, 1],
        "next_state": [1, 0, 2, 0, 1],
        "ended": [False, False, True, False, False],
    }
    return {name: of for name, of in (columns | changed).items() if of is not None}


def assert_same_episodes(one, other):
    assert len(one) == len(other)
    for mine, theirs in zip(one, other, strict=True):
        for part, same in zip(mine.packed, theirs.packed, strict=True):
            np.testing.assert_array_equal(part, same)
