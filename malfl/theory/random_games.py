"""Random games, and guesses at a reward in them, to put statements to the test on."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from malfl import checks
from malfl.checks import FloatArray
from malfl.games.markov import MarkovGame, Policies
from malfl.recovery.reward import REWARD_CLASSES, RewardClass
from malfl.theory.prediction import Prediction

GAMMAS = (0.0, 0.3, 0.6, 0.9, 0.97)


def random_predictions(
    number: int,
    *,
    seed: int | np.random.Generator,
    agents: tuple[int, int] = (2, 3),
    states: tuple[int, int] = (1, 5),
    actions: tuple[int, int] = (1, 4),
    gammas: Sequence[float] = GAMMAS,
    alphas: tuple[float, float] = (0.05, 5.0),
    scales: tuple[float, float] = (0.1, 10.0),
    errors: tuple[float, float] = (0.01, 30.0),
    sinks: float = 0.15,
    spreads: Sequence[float] = (0.0, 0.5, 1.0),
    reward_classes: Sequence[RewardClass] = REWARD_CLASSES,
) -> Iterator[Prediction]:
    """Games, policies, an agent, and a guess at its reward, one after the other.

    Parameters
    ----------
    agents, states, actions
        Least and largest numbers; actions are drawn for each agent. The agent that is looked at
        has more than one if any has.
    gammas
        Discounts to draw from, each in [0, 1).
    alphas
        Least and largest entropy coefficient, drawn evenly on a logarithmic scale.
    scales, errors
        Least and largest standard deviation of rewards and of errors of the guess, in units of
        alpha, drawn likewise. One guess in five has the reward's sign wrong instead.
    sinks
        Probability that a state is never left.
    spreads
        Probabilities, one drawn for each game, that a next state is possible. With 0 a joint action
        leads to one state.
    reward_classes
        What rewards may depend on. A guess is of the same class as the reward.

    Raises
    ------
    ValueError
        If a range is empty or out of bounds.
    """
    rng, number = checks.generator(seed), checks.count(number, "number")
    numbers = {"agents": agents, "states": states, "actions": actions}
    ranges = {"alphas": alphas, "scales": scales, "errors": errors}
    _check_ranges(numbers, ranges)
    _check_choices(gammas, spreads, reward_classes)
    checks.probability(sinks, "sinks")

    def draw() -> Prediction:
        sizes = rng.integers(*actions, size=rng.integers(*agents, endpoint=True), endpoint=True)
        own, many = tuple(sizes.tolist()), int(rng.integers(*states, endpoint=True))
        alpha = _between(rng, alphas)
        reward_class = reward_classes[int(rng.integers(len(reward_classes)))]
        size = alpha * _between(rng, scales)
        rewards = [
            size * (random_reward(rng, many, own, i, reward_class) + 2 * rng.normal())
            for i in range(len(own))
        ]
        spread = float(rng.choice(spreads))
        game = MarkovGame(
            actions=own,
            transitions=_transitions(rng, many, int(np.prod(own)), spread, sinks),
            rewards=rewards,
            start=rng.dirichlet(np.ones(many)),
            gamma=float(rng.choice(gammas)),
        )
        choosing = np.flatnonzero(np.array(game.actions) > 1)
        agent = int(rng.choice(choosing)) if len(choosing) else 0
        wrong = alpha * _between(rng, errors) * random_reward(
            rng, many, game.actions, agent, reward_class, sparse=rng.random() < 0.3
        )  # fmt: skip
        if rng.random() < 0.2:  # the observer has it the wrong way round
            wrong = -rng.uniform(1, 3) * (rewards[agent] - rewards[agent].mean())
        return Prediction(game, random_policies(rng, game), agent, alpha, rewards[agent] + wrong)

    return (draw() for _ in range(number))


def _check_ranges(
    numbers: Mapping[str, tuple[int, int]], ranges: Mapping[str, tuple[float, float]]
) -> None:
    for name, ends in {**numbers, **ranges}.items():
        checks.sequence(ends, name, "the least and the largest")
        if len(ends) != 2:
            raise ValueError(f"{name} must be the least and the largest, got {len(ends)} numbers")
    for name, (low, high) in numbers.items():
        checks.count(high, f"{name}[1]", checks.count(low, f"{name}[0]"))
    for name, (least, most) in ranges.items():
        if checks.positive(least, f"{name}[0]") > checks.positive(most, f"{name}[1]"):
            raise ValueError(f"{name} must be in ascending order, got {(least, most)}")


def _check_choices(
    gammas: Sequence[float], spreads: Sequence[float], reward_classes: Sequence[RewardClass]
) -> None:
    options = {"gammas": gammas, "spreads": spreads, "reward_classes": reward_classes}
    for name, values in options.items():
        checks.sequence(values, name, "what is drawn from")
        if len(values) == 0:
            raise ValueError(f"{name} must name at least one to draw from, got none")
    for k, gamma in enumerate(gammas):
        checks.discount(gamma, f"gammas[{k}]")
    for k, spread in enumerate(spreads):
        checks.probability(spread, f"spreads[{k}]")
    for one in reward_classes:
        checks.choice(one, "reward_classes", REWARD_CLASSES)


def random_reward(
    rng: np.random.Generator,
    states: int,
    actions: Sequence[int],
    agent: int,
    reward_class: RewardClass,
    sparse: bool = False,
) -> FloatArray:
    """Normal numbers of deviation 1, shape (S,) or (S, A); all but one of them 0 if ``sparse``."""
    own = actions[agent]
    joint = int(np.prod(actions))
    width = {"state": 1, "state-action": own, "joint-action": joint}[reward_class]
    reward = rng.normal(size=(states, width))
    if sparse:
        reward *= np.arange(reward.size).reshape(reward.shape) == rng.integers(reward.size)
    if reward_class == "state":
        return reward[:, 0]
    if reward_class == "state-action":
        return reward[:, np.unravel_index(np.arange(joint), tuple(actions))[agent]]
    return reward


def random_policies(rng: np.random.Generator, game: MarkovGame) -> Policies:
    """A joint policy, spread out or nearly certain; one in four has an agent that is certain."""
    policies = [
        rng.dirichlet(np.full(own, rng.choice([0.3, 1.0, 10.0])), size=game.n_states)
        for own in game.actions
    ]
    if rng.random() < 0.25:
        sure = int(rng.integers(game.n_agents))
        own = game.actions[sure]
        policies[sure] = np.eye(own)[rng.integers(own, size=game.n_states)]
    return tuple(policies)


def _between(rng: np.random.Generator, ends: tuple[float, float]) -> float:
    least, most = ends
    return math.exp(rng.uniform(math.log(least), math.log(most)))


def _transitions(
    rng: np.random.Generator, states: int, joint: int, spread: float, sinks: float
) -> FloatArray:
    """Rows of one next state, of some, or of all; sinks lead to themselves."""
    rows = rng.dirichlet(np.ones(states), size=(states, joint))
    rows *= rng.random(rows.shape) < spread
    rows[..., 0] += rows.sum(axis=-1) == 0  # nothing left: one next state, anywhere
    rows = rng.permuted(rows, axis=-1)
    rows /= rows.sum(axis=-1, keepdims=True)
    stays = rng.random(states) < sinks
    rows[stays] = np.eye(states)[stays][:, None, :]
    return np.asarray(rows)
