"""Games and policies drawn at random."""

import numpy as np

from malfl import MarkovGame


def random_policies(actions, states, rng, floor=0.02):
    """Policies that differ between agents and states, no probability below a floor."""
    return tuple((1 - n * floor) * rng.dirichlet(np.ones(n), size=states) + floor for n in actions)


def random_game(rng, actions=(2, 3), states=4, stochastic=True, state_rewards=False, gamma=0.8):
    """A game in which no two agents, states or actions are alike."""
    joint = int(np.prod(actions))
    if stochastic:
        transitions = rng.dirichlet(np.full(states, 0.7), size=(states, joint))
        transitions[0, 0] = np.eye(states)[-1]  # a certain row among uncertain ones
        transitions[1, 0] = (np.eye(states)[0] + 3 * np.eye(states)[1]) / 4  # and one of two
    else:
        transitions = rng.integers(states, size=(states, joint))
    shape = (states,) if state_rewards else (states, joint)
    return MarkovGame(
        actions=actions,
        transitions=transitions,
        rewards=[rng.normal(size=shape) for _ in actions],
        start=rng.dirichlet(np.ones(states)),
        gamma=gamma,
    )


GAMES = {
    "two agents, stochastic": {"actions": (2, 3)},
    "two agents, a table": {"actions": (3, 2), "stochastic": False, "state_rewards": True},
    "three agents": {"actions": (2, 1, 3), "states": 3},
    "one agent": {"actions": (3,), "states": 5},
}


def random_ending_game(rng, actions=(2, 3), states=7, *, gamma=0.9, state_rewards=False):
    """A game in which episodes end in the last two states, and not all actions are legal.

    In state 0 it is the turn of agent 0 alone.
    """
    legal = [rng.random((states, own)) < 0.6 for own in actions]
    for mask in legal:
        mask[np.arange(states), rng.integers(mask.shape[1], size=states)] = True
    for mask in legal[1:]:
        mask[0] = np.arange(mask.shape[1]) == 1
    legal[0][0] = True
    joint = int(np.prod(actions))
    shape = (states,) if state_rewards else (states, joint)
    start = np.append(rng.dirichlet(np.ones(states - 2)), [0, 0])
    return MarkovGame(
        actions=actions, transitions=rng.dirichlet(np.ones(states), size=(states, joint)),
        rewards=[rng.normal(size=shape) for _ in actions], start=start, gamma=gamma,
        ends=[states - 2, states - 1], legal=legal,
    )  # fmt: skip
