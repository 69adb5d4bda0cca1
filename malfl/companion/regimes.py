"""Regimes of random games: how games are drawn, how agents learn, what the observer has wrong."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from malfl.checks import FloatArray
from malfl.games.markov import MarkovGame
from malfl.learners.learner import (
    Improvement,
    Iteration,
    Learner,
    Learning,
    Needs,
    soft_improvement,
)
from malfl.learners.log import Training
from malfl.learners.q_learning import QLearning
from malfl.learners.random_improvements import RandomImprovements
from malfl.learners.soft_policy_iteration import SoftPolicyIteration
from malfl.learners.soft_value_iteration import SoftValueIteration
from malfl.learners.temporal_differences import along_steps
from malfl.recovery.reward import RewardClass
from malfl.values import Value

Moves = Literal["deterministic", "sparse", "dense", "rare"]
Rewards = Literal["normal", "sparse", "heavy-tailed"]
Learns = Literal["td", "exact", "backups", "Q-learning", "annealed", "random"]
Wrong = Literal["learner", "step size", "lost steps", "misread states", "missing iterations"]

ITERATIONS = 10
EPISODE = 50  # steps
FEW_MOVES = 3  # next states of a joint action where moves are sparse
RARITY = 0.003  # of a rare state among next states, relative to others
SINKS = 0.15  # share of states that are never left where some are rare
REWARDED = 0.3  # share of states with a reward where rewards are sparse
TAIL = 1.5  # degrees of freedom of heavy-tailed rewards
COOLING = 0.85  # of an annealed entropy coefficient, from one iteration to the next


@dataclass(frozen=True)
class Regime:
    """How games are drawn, and how agents learn in them; the least and the largest of numbers."""

    name: str
    agents: tuple[int, int] = (2, 2)
    states: tuple[int, int] = (5, 15)
    actions: tuple[int, int] = (2, 4)  #: of each agent
    moves: tuple[Moves, ...] = ("deterministic", "sparse", "dense")
    rewards: tuple[Rewards, ...] = ("normal", "sparse")
    reward_class: RewardClass = "state"
    gammas: tuple[float, float] = (0.8, 0.95)
    #: Ranges of the entropy coefficient, in deviations of the agent's reward; one is drawn.
    alphas: tuple[tuple[float, float], ...] = ((0.3, 3.0),)
    betas: tuple[float, float] = (0.02, 0.5)
    steps: tuple[int, int] = (1000, 2000)  #: of an iteration, for each state
    learns: Learns = "td"  #: agent 0; the others learn by temporal differences
    wrong: Wrong | None = None  #: what the observer has wrong, if anything

    @property
    def right(self) -> bool:
        """Whether the observer models what it sees as it is."""
        return self.wrong is None


BENIGN = "benign"

REGIMES: dict[str, Regime] = {
    one.name: one
    for one in (
        Regime(BENIGN),
        Regime("few episodes", steps=(50, 200)),
        Regime("large games", states=(30, 60), actions=(2, 3)),
        Regime("three or four agents", agents=(3, 4), actions=(2, 3)),
        Regime("discount near 1", gammas=(0.97, 0.99)),
        Regime("alpha far from rewards", alphas=((0.05, 0.3), (3.0, 20.0))),
        Regime("heavy-tailed rewards", rewards=("heavy-tailed",)),
        Regime("rarely visited states", moves=("rare",)),
        Regime("rewards of own actions", reward_class="state-action"),
        Regime(
            "rewards of joint actions", states=(3, 6), actions=(2, 3), reward_class="joint-action"
        ),
        Regime("exact values", learns="exact"),
        Regime("soft value iteration", learns="backups"),
        Regime("Q-learning", betas=(0.05, 0.5), learns="Q-learning"),
        Regime("step size 4 times too large", betas=(0.02, 0.25), wrong="step size"),
        Regime("half the steps lost", moves=("dense",), wrong="lost steps"),
        Regime("1 % of states misread", moves=("dense",), wrong="misread states"),
        Regime("every second iteration missing", wrong="missing iterations"),
        Regime("alpha annealed", learns="annealed", wrong="learner"),
        Regime("random improvements", learns="random", wrong="learner"),
    )
}
"""By name."""


class Drawn(NamedTuple):
    """One game of a regime, and how agents are to learn in it."""

    game: MarkovGame
    training: Training
    beta: float  # the step size


def draw(regime: Regime, rng: np.random.Generator) -> Drawn:
    """Draw a game, the agents' parameters, and how much is played."""
    agents = int(rng.integers(*regime.agents, endpoint=True))
    states = int(rng.integers(*regime.states, endpoint=True))
    actions = tuple(rng.integers(*regime.actions, size=agents, endpoint=True).tolist())
    joint = int(np.prod(actions))
    size = _log_uniform(rng, (0.1, 10.0))
    own = np.array(np.unravel_index(np.arange(joint), actions))
    game = MarkovGame(
        actions=actions,
        transitions=_transitions(rng, regime, states, joint),
        rewards=[size * _reward(rng, regime, states, own[i], actions[i]) for i in range(agents)],
        start=rng.dirichlet(np.ones(states)),
        gamma=float(rng.uniform(*regime.gammas)),
    )
    return draw_training(regime, game, rng)


def draw_training(regime: Regime, game: MarkovGame, rng: np.random.Generator) -> Drawn:
    """Draw the agents' parameters, and how much is played, for a game that is given."""
    alphas = regime.alphas[int(rng.integers(len(regime.alphas)))]
    alpha = float(game.rewards[0].std()) * _log_uniform(rng, alphas)
    beta = _log_uniform(rng, regime.betas)
    episodes = max(1, round(game.n_states * _log_uniform(rng, regime.steps) / EPISODE))
    others = [SoftPolicyIteration(beta)] * (game.n_agents - 1)
    learners = (_learner(regime.learns, beta), *others)
    return Drawn(game, Training(learners, alpha, ITERATIONS, episodes, EPISODE), beta)


@dataclass(frozen=True)
class Annealed(Value):
    """Soft policy iteration by temporal differences whose entropy coefficient falls."""

    beta: float = 0.1

    name = "annealed soft policy iteration"
    needs: Needs = "draws"

    def start(
        self, game: MarkovGame, agent: int, alpha: float, rng: np.random.Generator
    ) -> Learning:
        """See `malfl.learners.learner.Learner`."""
        return _Annealing(self.beta, game, agent, alpha)


class _Annealing:
    def __init__(self, beta: float, game: MarkovGame, agent: int, alpha: float) -> None:
        self._beta, self._game, self._agent, self._alpha = beta, game, agent, alpha

    def improve(self, now: Iteration) -> Improvement:
        assert now.played is not None
        assert now.ahead is not None
        alpha = self._alpha * COOLING**now.number
        values = along_steps(
            self._game, now.policies, self._agent, now.played, now.ahead, alpha=alpha,
            beta=self._beta, executed=False,
        )  # fmt: skip
        return soft_improvement(values, alpha)


def _learner(learns: Learns, beta: float) -> Learner:
    known: dict[Learns, Learner] = {
        "td": SoftPolicyIteration(beta),
        "exact": SoftPolicyIteration(evaluation="exact"),
        "backups": SoftValueIteration(),
        "Q-learning": QLearning(beta),
        "annealed": Annealed(beta),
        "random": RandomImprovements(),
    }
    return known[learns]


def _log_uniform(rng: np.random.Generator, ends: tuple[float, float]) -> float:
    return float(np.exp(rng.uniform(*np.log(ends))))


def _reward(
    rng: np.random.Generator, regime: Regime, states: int, own: npt.NDArray[np.int64], actions: int
) -> FloatArray:
    """Of deviation 1, shape (S,) or (S, A)."""
    kind = str(rng.choice(regime.rewards))
    width = {"state": 1, "state-action": actions, "joint-action": len(own)}[regime.reward_class]
    shape = states, width
    reward = rng.standard_t(TAIL, shape) if kind == "heavy-tailed" else rng.normal(size=shape)
    if kind == "sparse":
        paid = rng.random(shape) < REWARDED
        paid.flat[rng.integers(paid.size)] = True  # one at least
        reward = np.where(paid, reward, 0.0)
    reward = reward / reward.std()
    if regime.reward_class == "state":
        return np.asarray(reward[:, 0])
    return np.asarray(reward[:, own] if regime.reward_class == "state-action" else reward)


def _transitions(
    rng: np.random.Generator, regime: Regime, states: int, joint: int
) -> npt.NDArray[np.generic]:
    """A table of next states (S, A), or probabilities (S, A, S)."""
    kind = str(rng.choice(regime.moves))
    if kind == "deterministic":
        return rng.integers(states, size=(states, joint))
    rows = rng.dirichlet(np.ones(states), size=(states, joint))
    if kind != "dense":
        order = rng.random(rows.shape).argsort(axis=-1)
        rows *= order < FEW_MOVES
    if kind == "rare":
        rows *= np.where(np.arange(states) < states // 3, RARITY, 1.0)
        rows /= rows.sum(axis=-1, keepdims=True)
        sinks = rng.random(states) < SINKS
        rows[sinks] = np.eye(states)[sinks][:, None, :]
    return np.asarray(rows / rows.sum(axis=-1, keepdims=True))
