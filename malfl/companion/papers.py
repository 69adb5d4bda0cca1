"""The estimators that the book compares."""

from malfl.recovery import (
    Adam,
    Descended,
    Equations,
    Estimator,
    EvidenceRidge,
    LeastSquares,
    Replay,
    Structural,
)


def papers_estimators(steps: int = 1000, rate: float = 0.01) -> dict[str, Estimator]:
    """MA-LfL's estimator in three readings of its loss: as released, as printed, by Theorem 5.1.

    Parameters
    ----------
    steps, rate
        Of the reward's Adam; Table 3 by default.
    """

    def adam(equations: Equations) -> Adam:
        return Adam(
            "joint-action", equations=equations, policies=Descended(), steps=steps, rate=rate
        )

    return {
        "as released": adam("released"),
        "Eq. 12 as printed": adam("printed"),
        "Theorem 5.1, same Adam": adam("theorem"),
    }


def better_estimators(beta: float) -> dict[str, Estimator]:
    """What can be done with the same episodes.

    Parameters
    ----------
    beta
        The learners' step size, which the structural estimator and replay know.
    """
    return {
        "least squares, R(s)": LeastSquares(),
        "evidence ridge, R(s)": EvidenceRidge(),
        "structural": Structural(beta, reward_class="state"),
        "replay": Replay(beta, reward_class="state"),
    }
