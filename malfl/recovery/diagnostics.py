"""How far a recovered reward can be trusted."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.linalg import eigvalsh

from malfl.checks import FloatArray

RewardClass = Literal["state", "state-action", "joint-action"]
REWARD_CLASSES: tuple[RewardClass, ...] = ("state", "state-action", "joint-action")
RANK_TOLERANCE = 1e-6  # of singular values of a regression on logits, relative to the largest


class NothingToLearnError(ValueError):
    """What was seen does not depend on the reward that is looked for."""


@dataclass(frozen=True)
class Determination:
    """How well a linear system determines its unknown reward, shapings projected out."""

    unknowns: int  #: entries of the reward that some equation touches
    rank: int  #: directions of the reward that the equations fix
    smallest_singular_value: float  #: of those directions; noise grows by its inverse
    largest_singular_value: float

    @property
    def free(self) -> int:
        """Directions that nothing determines, the constant included."""
        return self.unknowns - self.rank


@dataclass(frozen=True)
class Convergence:
    """Where the fit stopped."""

    steps: int
    loss: float  #: weighted sum of squared residuals; for logits minus the log-likelihood
    #: Its norm relative to the start; for logits the reward's last relative move; for a course the
    #: norm of the log-likelihood's relative to one by chance.
    gradient: float
    converged: bool


@dataclass(frozen=True)
class Evidence:
    """What the data say about the size of errors and of rewards."""

    #: Variance of what the model does not explain, beyond known errors; of an equation of weight 1.
    error: float
    prior: float  #: variance of the rewards
    log_likelihood: float  #: of the data, reward and errors integrated out (Laplace)


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
