"""LfL's experiments: a learner on a grid, an observer, and what the observer then earns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike

import numpy as np
import pandas as pd

from malfl import checks
from malfl.checks import FloatArray
from malfl.games.markov import MarkovGame
from malfl.games.soft import soft_optimum, soft_return
from malfl.learners import (
    Learner,
    QLearning,
    RandomImprovements,
    SoftPolicyIteration,
    SoftValueIteration,
    Training,
    train,
)
from malfl.play.view import View
from malfl.recovery import (
    Adam,
    CausalEntropy,
    Descended,
    EntropyRegularised,
    Estimator,
    LastPolicy,
    LeastSquares,
    NothingToLearnError,
    PathFit,
    PathLikelihood,
    Prepared,
    RecoveredReward,
    Smoothing,
    UniformWhereUnseen,
    WithEstimatedRules,
    recover_from_policies,
)
from malfl.recovery.estimator import check_estimator
from malfl.studies.study import run_all, trained_and_recovered
from malfl.values import Value

IMPROVEMENTS: dict[Learner, int] = {
    SoftPolicyIteration(evaluation="exact"): 3,
    SoftValueIteration(): 20,
    QLearning(): 50,
    RandomImprovements(): 10,
}
"""LfL's learners, and how many improvements of each its observer sees (Table 2)."""

LAMBDA = 0.01  #: of the released program's entropy regulariser; the paper has no number
EXPLAINED = 1.2  #: misfit up to which a path of learning explains what was seen


@dataclass(frozen=True)
class Adaptive(Value):
    """The likeliest kind of learner if it explains what was seen; if none does, another estimator.

    Parameters
    ----------
    path
        Over the kinds of learners.
    otherwise
        Who is asked if the misfit is above `EXPLAINED`.
    """

    path: PathLikelihood
    otherwise: Estimator

    needs_improvements = True

    def __post_init__(self) -> None:
        check_estimator(self.path, "path")
        check_estimator(self.otherwise, "otherwise")

    @property
    def needs_steps(self) -> bool:
        """Whether one of the two does."""
        return self.path.needs_steps or self.otherwise.needs_steps

    def prepare(self, view: View, agent: int, rng: np.random.Generator) -> Prepared:
        """See `malfl.Estimator`."""
        path, otherwise = (one.prepare(view, agent, rng) for one in (self.path, self.otherwise))
        return _PreparedAdaptive(path, otherwise)


class _PreparedAdaptive:
    def __init__(self, path: Prepared, otherwise: Prepared) -> None:
        self.path, self.otherwise = path, otherwise

    def reward(self, improvements: int) -> RecoveredReward:
        found = self.path.reward(improvements)
        assert isinstance(found.diagnostics, PathFit)
        if found.diagnostics.misfit <= EXPLAINED:
            return found
        return self.otherwise.reward(improvements)

    def next_policy(self, reward: RecoveredReward, improvements: int) -> FloatArray:
        explained = isinstance(reward.diagnostics, PathFit)
        prepared = self.path if explained else self.otherwise
        return prepared.next_policy(reward, improvements)


def algorithm_1(*, policy_rate: float, reward_rate: float) -> Estimator:
    """LfL's Algorithm 1 with tables, as its Section 6.3 runs it.

    Policies by 10 steps of Adam, divergences from these and the transitions that the first
    iteration shows, a state-action reward by 200 steps of Adam. Where a state was never visited,
    its policy is assumed to be uniform.

    Parameters
    ----------
    policy_rate, reward_rate
        Of Adam. The paper says 0.001 for both; its program has 0.5 and 1.
    """
    policies = UniformWhereUnseen(Descended(LAMBDA, 10, policy_rate))
    adam = Adam("state-action", policies=policies, steps=200, rate=reward_rate)
    return WithEstimatedRules(adam, iterations=1)


#: Algorithm 1 with every step at its optimum, and transitions from all iterations.
CONVERGED = WithEstimatedRules(
    LeastSquares("state-action", policies=UniformWhereUnseen(EntropyRegularised(LAMBDA)))
)
#: Algorithm 1 at its optimum, policies smoothed, equations weighted by what was seen.
WEIGHTED = LeastSquares(
    "state-action", weighting="overlap", policies=UniformWhereUnseen(Smoothing(0.1))
)
OBSERVERS: dict[str, Estimator] = {
    "as printed": algorithm_1(policy_rate=1e-3, reward_rate=1e-3),
    "as released": algorithm_1(policy_rate=0.5, reward_rate=1.0),
    "converged": CONVERGED,
    "weighted": WEIGHTED,
    "last policy": LastPolicy(),
    "causal entropy": CausalEntropy(),
    "adaptive": Adaptive(PathLikelihood(reward_class="state"), otherwise=WEIGHTED),
}


def training(learner: Learner, *, improvements: int, steps: int, alpha: float) -> Training:
    """A learner alone in its game, one episode of so many steps under each policy (Section 6.1).

    The last policy that is played is the one after all ``improvements``.
    """
    return Training(learner, alpha, improvements + 1, 1, steps)


def earned(
    game: MarkovGame, found: RecoveredReward, *, alpha: float, own_alpha: float, doubt: float = 0.0
) -> float:
    """Soft return, with ``alpha`` and the true reward, of who is best by the recovered one.

    Parameters
    ----------
    own_alpha
        Entropy coefficient by which the observer is best. LfL's has the true one; on the scale of
        what it recovered it is the one of its model.
    doubt
        Posterior standard deviations by which the observer assumes the reward to be less than
        found. Where nothing is known, it assumes the least reward found anywhere.
    """
    values = found.values
    if found.deviation is not None:
        values = values - checks.real(doubt, "doubt") * found.deviation
    values = np.where(np.isfinite(values), values, np.nanmin(values))
    believed = game.with_rewards([values])
    return soft_return(game, (soft_optimum(believed, own_alpha).policy,), 0, alpha)


def scores(
    game: MarkovGame,
    observers: Mapping[str, Estimator],
    *,
    seeds: Sequence[int],
    improvements: Mapping[Learner, int] = IMPROVEMENTS,
    steps: int = 1000,
    alpha: float = 0.3,
    model_alpha: float = 0.7,
    store: str | PathLike[str] | None = None,
) -> pd.DataFrame:
    """Learners watched by observers: LfL's Table 2, seed by seed.

    Parameters
    ----------
    alpha, model_alpha
        Entropy coefficient of the learner, and what its observers assume it to be.
    store
        As for `malfl.Study.scores`.

    Returns
    -------
    DataFrame
        A row for each ``learner``, ``seed`` and ``observer``, with ``learner score`` (of its best
        policy that was seen), ``last score``, ``score`` (of who is best by the recovered reward
        with the learner's alpha, as in the paper), ``own scale`` (with the model's alpha, and a
        standard deviation's doubt), ``trusted`` (the latter if the kind of learner explains what
        was seen, the former if not), ``misfit`` and ``likeliest`` (the likeliest learner).
    """
    calls = [
        (game, training(one, improvements=number, steps=steps, alpha=alpha), seed, dict(observers),
         model_alpha)
        for one, number in improvements.items()
        for seed in seeds
    ]  # fmt: skip
    parts = run_all(_scored, calls, store=store)
    columns = ["learner", "seed", "observer", "learner score", "last score", "score", "own scale"]
    columns += ["trusted", "misfit", "likeliest"]
    return pd.DataFrame([row for part in parts for row in part], columns=columns)


def _scored(
    game: MarkovGame,
    how: Training,
    seed: int,
    observers: Mapping[str, Estimator],
    model_alpha: float,
) -> list[tuple[object, ...]]:
    """Rows of `scores` for one run."""
    log, found = trained_and_recovered(game, how, seed, observers, alpha=model_alpha)
    alpha, (learner,) = how.alpha, how.learner_of(1)
    played = [soft_return(game, (policy,), 0, alpha) for policy in log.policies[0][:-1]]
    rows: list[tuple[object, ...]] = []
    for _, observer, _, reward in found:
        if reward is None:
            raise NothingToLearnError(f"{observer} found nothing to learn from {learner.name}")
        score = earned(game, reward, alpha=alpha, own_alpha=alpha)
        own_scale = earned(game, reward, alpha=alpha, own_alpha=model_alpha, doubt=1.0)
        fit = reward.diagnostics
        misfit = fit.misfit if isinstance(fit, PathFit) else None
        kind = fit.learner if isinstance(fit, PathFit) else None
        likeliest = None if kind is None else kind.name
        trusted = own_scale if kind and misfit is not None and misfit <= EXPLAINED else score
        rows.append((learner.name, seed, observer, max(played), played[-1], score, own_scale,
                     trusted, misfit, likeliest))  # fmt: skip
    return rows


def exact_scores(
    game: MarkovGame, *, seeds: Sequence[int], steps: int, alpha: float, model_alpha: float
) -> pd.DataFrame:
    """Scores of an observer who knows the policies themselves: learner, seed and score."""
    rows = []
    for learner, number in IMPROVEMENTS.items():
        how = training(learner, improvements=number, steps=steps, alpha=alpha)
        for seed in seeds:
            policies = train(game, how, seed).policies[0][:-1]
            exact = recover_from_policies(
                game.without_rewards(), (policies,), of=0, alpha=model_alpha,
                by=LeastSquares("state-action"),
            )  # fmt: skip
            score = earned(game, exact, alpha=alpha, own_alpha=alpha)
            rows.append((learner.name, seed, score))
    return pd.DataFrame(rows, columns=["learner", "seed", "score"])


def learning_scores(
    game: MarkovGame, *, seeds: Sequence[int], steps: int, alpha: float
) -> pd.DataFrame:
    """Scores of LfL's learners, policy by policy: learner, iteration, seed and score."""
    rows = []
    for learner, number in IMPROVEMENTS.items():
        how = training(learner, improvements=number, steps=steps, alpha=alpha)
        for seed in seeds:
            for h, policy in enumerate(train(game, how, seed).policies[0][:-1]):
                rows.append((learner.name, h, seed, soft_return(game, (policy,), 0, alpha)))
    return pd.DataFrame(rows, columns=["learner", "iteration", "seed", "score"])
