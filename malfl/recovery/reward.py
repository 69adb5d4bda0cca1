"""What a recovery hands out: a reward, and how far it can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

from malfl import checks
from malfl.checks import FloatArray, IntArray
from malfl.recovery.parts import eigvalsh_by_parts
from malfl.recovery.trust import Promise
from malfl.recovery.verdict import Judgement, Verdict, judge, shortened
from malfl.values import Value, freeze, set_fields

RewardClass = Literal["state", "state-action", "joint-action"]
REWARD_CLASSES: tuple[RewardClass, ...] = ("state", "state-action", "joint-action")
SHOWN = 8  # of what a reward was compared with, in a summary
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


@runtime_checkable
class Promising(Protocol):
    """A fit that says how far its reward may be off."""

    @property
    def promise(self) -> Promise | None:
        """What the posterior promises; None if its assumptions cannot be checked."""

    @property
    def evidence(self) -> "Evidence":
        """What the model leaves unexplained, among others."""


@dataclass(frozen=True, eq=False)
class RecoveredReward(Value):
    """An agent's reward as recovered, up to what its class leaves open.

    Entries that nothing seen touches are NaN.

    Raises
    ------
    TypeError, ValueError
        If an array has another shape than is said below, or something in it is no number.
    """

    values: FloatArray  #: (S,), (S, A_i) or (S, A)
    reward_class: RewardClass
    diagnostics: Diagnostics  #: of the estimator's kind of fit
    #: Like values, posterior standard deviations without that of the mean, if there are any.
    deviation: FloatArray | None = None
    unvisited: IntArray | None = None  #: (k, 2), pairs (iteration, state) without data, if data
    scale_known: bool = True  #: False if alpha was not known, in units of which values are then
    weights: FloatArray | None = None  #: (k,), of features, if it was looked for among these
    weight_deviation: FloatArray | None = None  #: (k,), their posterior standard deviations
    #: What was compared, with the logarithm of its evidence, the one taken first; empty if nothing.
    compared: tuple[tuple[str, float], ...] = ()
    #: What else is about as likely, or likelier, and how far its reward correlates with this.
    rivals: tuple[tuple[str, float], ...] = ()
    doubts: tuple[str, ...] = ()  #: What else speaks against what was assumed, if anything.
    likeliest: Value | None = None  #: of what was compared, the estimator that found this reward
    #: Changed assumptions, and how far the reward by them correlates with this; if asked for.
    sensitive: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        checks.choice(self.reward_class, "reward_class", REWARD_CLASSES)
        checks.boolean(self.scale_known, "scale_known")
        said = self.diagnostics
        if isinstance(said, type) or not (hasattr(said, "converged") and hasattr(said, "lines")):
            raise TypeError(
                "diagnostics must say whether the fit converged, as NoFit() does, got "
                f"{checks.shown(said)}"
            )
        values = checks.numbers(self.values, "values")
        if values.ndim != (1 if self.reward_class == "state" else 2):
            shape = "(S,)" if self.reward_class == "state" else "(S, actions)"
            raise ValueError(
                f"values must have shape {shape} for a reward of the {self.reward_class}, "
                f"got {values.shape}"
            )
        if np.isinf(values).any():
            where = checks.first(np.isinf(values))
            raise ValueError(f"values{list(where)} is {values[where]}; what is not known is NaN")
        unvisited, weights = self.unvisited, self.weights
        if weights is not None:
            weights = checks.numbers(weights, "weights")
        deviation = _check_deviation(self.deviation, "deviation", values, "values")
        spread = _check_deviation(self.weight_deviation, "weight_deviation", weights, "weights")
        if unvisited is not None:
            unvisited = checks.counts(unvisited, "unvisited").astype(np.int64)
            if unvisited.shape[1:] != (2,):
                raise ValueError(f"unvisited must have shape (k, 2), got {unvisited.shape}")
        for name in ("compared", "rivals", "sensitive"):
            set_fields(self, **{name: _check_pairs(getattr(self, name), name)})
        set_fields(self, doubts=checks.texts(self.doubts, "doubts"))
        if self.likeliest is not None:
            checks.instance(self.likeliest, Value, "likeliest", "such as Structural()")
        freeze(values, deviation, unvisited, weights, spread)
        set_fields(
            self, values=values, deviation=deviation, unvisited=unvisited, weights=weights,
            weight_deviation=spread,
        )  # fmt: skip

    def parts(self) -> dict[str, object]:
        """What a file holds of it; of a fit of somebody else's, what it says of itself."""
        fit = self.diagnostics
        if isinstance(fit, Value) and fit.is_known():
            return super().parts()
        return super().parts() | {"diagnostics": AsSaid(fit.converged, tuple(fit.lines()))}

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

    @property
    def verdict(self) -> Verdict:
        """``"sound"``, ``"doubtful"`` or ``"undetermined"``, as ``judgement`` explains."""
        return self.judgement.verdict

    @property
    def judgement(self) -> Judgement:
        """The verdict with its reasons; see `malfl.recovery.verdict.Judgement`."""
        return self._judged(None, None)

    def _judged(self, states: Sequence[str] | None, actions: Sequence[str] | None) -> Judgement:
        """The same, with entries called by their names."""
        fit = self.diagnostics
        if not isinstance(fit, Promising):
            return judge(
                converged=fit.converged, promise=None, error=np.nan, sensitive=self.sensitive,
                names=(),
            )  # fmt: skip
        return judge(
            converged=fit.converged, promise=fit.promise, error=fit.evidence.error,
            rivals=self.rivals, doubts=self.doubts, sensitive=self.sensitive,
            names=self._names(states, actions),
        )  # fmt: skip

    def _names(
        self, states: Sequence[str] | None, actions: Sequence[str] | None
    ) -> tuple[str, ...]:
        """Of the entries, in order."""
        shape = self.values.shape
        action = "action" if self.reward_class == "state-action" else "joint action"
        named = range(shape[0]) if states is None else checks.names(states, "states", shape[0])
        if len(shape) == 1:
            return tuple(f"state {state}" for state in named)
        own = checks.action_names(actions, shape) or range(shape[1])
        return tuple(f"state {state} {action} {one}" for state in named for one in own)

    def over_states(self) -> FloatArray:
        """The reward averaged uniformly over actions, as the paper compares it, shape (S,).

        NaN where one of the averaged entries is.
        """
        return self.values if self.values.ndim == 1 else np.asarray(self.values.mean(axis=1))

    def summary(
        self, *, states: Sequence[str] | None = None, actions: Sequence[str] | None = None
    ) -> str:
        """What was recovered and how far to trust it, a line for each.

        Parameters
        ----------
        states, actions
            Names, in the order of their numbers; by default the numbers.
        """
        fit, known = self.diagnostics, np.isfinite(self.values)
        lines = self._judged(states, actions).lines()
        lines += [f"Reward of the {self.reward_class}: {known.sum()} of {known.size} entries known"]
        if known.any():
            low, high = self.values[known].min(), self.values[known].max()
            unit = "" if self.scale_known else ", in units of alpha, which is not known"
            lines += [f"From {low:.4g} to {high:.4g}, up to a shaping{unit}"]
        if isinstance(fit, Promising) and fit.promise is not None:
            lines += fit.promise.lines()
        if self.deviation is not None and known.any():
            typical = float(np.median(self.deviation[known]))
            lines += [f"Median posterior deviation {typical:.3g}"]
        if self.weights is not None:
            lines += [f"Linear in {self.weights.size} features"]
        lines += ["The fit converged." if self.converged else "The fit did NOT converge."]
        if self.compared:
            (taken, best), *others = self.compared
            lines += [f"Likeliest: {shortened(taken)}"]
            for name, one in others[:SHOWN]:
                how = "less likely" if one <= best else "likelier, with more unexplained,"
                lines += [f"- {shortened(name)}: {how} by {abs(best - one):.3g}"]
        lines += fit.lines()
        lines += [f"With {one}: correlation {like:.3f}" for one, like in self.sensitive]
        if self.unvisited is not None and len(self.unvisited):
            lines += [f"{len(self.unvisited)} pairs of iteration and state were never visited."]
        return "\n".join(lines)


def _check_deviation(
    deviation: FloatArray | None, name: str, of: FloatArray | None, of_name: str
) -> FloatArray | None:
    """Return a deviation for each of some numbers; raise unless it is 0 or more, or NaN."""
    if deviation is None:
        return None
    deviation = checks.numbers(deviation, name)
    if of is None or deviation.shape != of.shape or (deviation < 0).any():
        raise ValueError(f"{name} must be 0 or more for each of {of_name}")
    return deviation


def _check_pairs(pairs: object, name: str) -> tuple[tuple[str, float], ...]:
    """Return pairs of a text and a number; raise unless that is what they are."""
    found: list[tuple[str, float]] = []
    for k, pair in enumerate(pairs if isinstance(pairs, tuple | list) else (pairs,)):
        if not (isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], str)):
            raise TypeError(f"{name}[{k}] must be (text, number), got {checks.shown(pair)}")
        found.append((pair[0], float(checks.numbers(pair[1], f"{name}[{k}]"))))
    return tuple(found)


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


@dataclass(frozen=True)
class AsSaid(Value):
    """What a fit of a class from elsewhere said of itself before it was saved."""

    converged: bool
    said: tuple[str, ...]

    @property
    def determination(self) -> Determination:
        """Raises ValueError, as the fit itself was not saved."""
        raise ValueError("of a fit of a class from elsewhere only what it says is saved")

    def lines(self) -> list[str]:
        """For a summary."""
        return list(self.said)


def determination_of(information: FloatArray, unknowns: int) -> Determination:
    """How well an information matrix (S, S), the prior's part taken off, determines a reward."""
    values = np.sqrt(np.maximum(eigvalsh_by_parts(information), 0.0))
    fixed = values[values > RANK_TOLERANCE * values.max()]
    return Determination(
        unknowns=unknowns,
        rank=len(fixed),
        smallest_singular_value=float(fixed.min()),
        largest_singular_value=float(fixed.max()),
    )
