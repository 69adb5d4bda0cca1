"""What a recovery hands out: a reward, and how far it can be trusted."""

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.linalg import eigvalsh

from malfl.checks import FloatArray, IntArray
from malfl.values import Value, freeze

RewardClass = Literal["state", "state-action", "joint-action"]
REWARD_CLASSES: tuple[RewardClass, ...] = ("state", "state-action", "joint-action")
RANK_TOLERANCE = 1e-6  # of singular values of a regression on logits, relative to the largest


class NothingToLearnError(ValueError):
    """What was seen does not depend on the reward that is looked for."""


@dataclass(frozen=True)
class Determination(Value):
    """How well a linear system determines its unknown reward, shapings projected out."""

    unknowns: int  #: entries of the reward that some equation touches
    rank: int  #: directions of the reward that the equations fix
    smallest_singular_value: float  #: of those directions; noise grows by its inverse
    largest_singular_value: float

    @property
    def free(self) -> int:
        """Directions that nothing determines, the constant included."""
        return self.unknowns - self.rank


class Diagnostics(Protocol):
    """What every fit says of itself."""

    @property
    def converged(self) -> bool:
        """Whether the fit came to rest."""

    @property
    def determination(self) -> Determination:
        """How well the data determine the reward; a decomposition, made when asked for."""

    def lines(self) -> list[str]:
        """The rest in words, for a summary."""


@dataclass(frozen=True, eq=False)
class RecoveredReward(Value):
    """An agent's reward as recovered, up to what its class leaves open.

    Entries that nothing seen touches are NaN.
    """

    values: FloatArray  #: (S,), (S, A_i) or (S, A)
    reward_class: RewardClass
    diagnostics: Diagnostics  #: of the estimator's kind of fit
    #: Like values, posterior standard deviations without that of the mean, if there are any.
    deviation: FloatArray | None = None
    unvisited: IntArray | None = None  #: (k, 2), pairs (iteration, state) without data, if data

    def __post_init__(self) -> None:
        freeze(self.values, self.deviation, self.unvisited)

    @property
    def converged(self) -> bool:
        """Whether the fit came to rest."""
        return self.diagnostics.converged

    @property
    def determination(self) -> Determination:
        """How well the data determine the reward; a decomposition, made when asked for.

        Raises
        ------
        ValueError
            If the game is too large for one; ``converged`` is always known.
        """
        return self.diagnostics.determination

    def over_states(self) -> FloatArray:
        """The reward averaged uniformly over actions, as the paper compares it, shape (S,).

        NaN where one of the averaged entries is.
        """
        return self.values if self.values.ndim == 1 else np.asarray(self.values.mean(axis=1))

    def summary(self) -> str:
        """What was recovered and how far to trust it, a line for each."""
        known = np.isfinite(self.values)
        lines = [
            f"Reward of the {self.reward_class}: {known.sum()} of {known.size} entries known",
            "The fit converged." if self.converged else "The fit did NOT converge.",
            *self.diagnostics.lines(),
        ]
        if known.any():
            low, high = self.values[known].min(), self.values[known].max()
            lines.insert(1, f"From {low:.4g} to {high:.4g}, up to a shaping")
        if self.deviation is not None and known.any():
            typical = float(np.median(self.deviation[known]))
            lines.append(f"Median posterior deviation {typical:.3g}")
        if self.unvisited is not None and len(self.unvisited):
            lines.append(f"{len(self.unvisited)} pairs of iteration and state were never visited.")
        return "\n".join(lines)


@dataclass(frozen=True)
class Evidence(Value):
    """What the data say about the size of errors and of rewards."""

    #: Variance of what the model does not explain, beyond known errors; of an equation of weight 1.
    error: float
    prior: float  #: variance of the rewards
    log_likelihood: float  #: of the data, reward and errors integrated out (Laplace)

    def lines(self) -> list[str]:
        """For a summary."""
        return [f"Deviation of unexplained errors {self.error**0.5:.3g}, of rewards "
                f"{self.prior**0.5:.3g}; log-likelihood {self.log_likelihood:.6g}"]  # fmt: skip


@dataclass(frozen=True)
class NoFit(Value):
    """A reward that no equations were solved for, such as a policy's logarithm."""

    converged: ClassVar[bool] = True

    @property
    def determination(self) -> Determination:
        """Raises ValueError, as there is none."""
        raise ValueError("a policy's logarithm solves no equations that could determine it")

    def lines(self) -> list[str]:
        """For a summary."""
        return ["No equations were solved."]


def determination_of(information: FloatArray, unknowns: int) -> Determination:
    """How well an information matrix (S, S), the prior's part taken off, determines a reward."""
    values = np.sqrt(np.maximum(eigvalsh(information), 0.0))
    fixed = values[values > RANK_TOLERANCE * values.max()]
    return Determination(
        unknowns=unknowns,
        rank=len(fixed),
        smallest_singular_value=float(fixed.min()),
        largest_singular_value=float(fixed.max()),
    )
