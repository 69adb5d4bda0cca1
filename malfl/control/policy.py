"""What an agent with a body does, as a function of what it sees."""

import itertools
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from malfl import checks
from malfl.control.networks import HIDDEN, Gaussian, random_layers
from malfl.values import Value, freeze, set_fields

Floats = npt.NDArray[np.floating[Any]]
FARTHEST = 10.0  # deviations, beyond which observations are clipped


@dataclass(frozen=True, eq=False)
class Policy(Value):
    """Normal actions around what a network says of scaled observations.

    Raises
    ------
    ValueError
        If a number is not finite, or layers do not fit together.
    """

    layers: tuple[tuple[Floats, Floats], ...]  #: weights (inputs, outputs) and biases, each
    log_std: Floats  #: (actions,), of the actions' deviations
    center: Floats  #: (observations,), taken off
    spread: Floats  #: (observations,), divided by then; above zero

    def __post_init__(self) -> None:
        layers = tuple(
            (_floats(w, f"layers[{k}][0]"), _floats(b, f"layers[{k}][1]"))
            for k, (w, b) in enumerate(self.layers)
        )
        rest = {name: _floats(getattr(self, name), name) for name in _REST}
        sizes = [rest["center"].shape, *(bias.shape for _, bias in layers)]
        if [w.shape for w, _ in layers] != [a + b for a, b in itertools.pairwise(sizes)]:
            raise ValueError(f"layers must lead from one to the next, got biases of {sizes[1:]}")
        if sizes[-1] != rest["log_std"].shape or rest["spread"].shape != sizes[0]:
            raise ValueError("log_std must have an entry for each action, spread as center has")
        if not (rest["spread"] > 0).all():
            raise ValueError("spread must be above zero")
        freeze(layers)
        set_fields(self, layers=layers, **rest)

    @classmethod
    def beginner(
        cls, center: Floats, spread: Floats, actions: int, rng: np.random.Generator
    ) -> "Policy":
        """As PPO begins: nearly the same for all that is seen, deviations 1."""
        layers = random_layers(rng, (len(center), *HIDDEN, actions), 0.01)
        return cls.of(Gaussian(layers, jnp.zeros(actions)), center, spread)

    @classmethod
    def of(cls, gaussian: Gaussian, center: Floats, spread: Floats) -> "Policy":
        """Of networks that see in this scale."""
        layers = tuple((np.asarray(w), np.asarray(b)) for w, b in gaussian.layers)
        return cls(layers, np.asarray(gaussian.log_std), center, spread)

    def gaussian(self) -> Gaussian:
        """As JAX has it, of scaled observations."""
        layers = tuple((jnp.asarray(w), jnp.asarray(b)) for w, b in self.layers)
        return Gaussian(layers, jnp.asarray(self.log_std))

    def scaled(self, seen: Floats) -> Floats:
        """Observations (..., observations) in deviations from the center, clipped."""
        off = (seen - self.center) / self.spread
        return np.asarray(np.clip(off, -FARTHEST, FARTHEST), dtype=np.float32)

    def mean(self, seen: Floats) -> Floats:
        """The mean action (n, actions) for what is seen (n, observations)."""
        values = self.scaled(seen)
        *hidden, (weights, bias) = self.layers
        for within, shift in hidden:
            values = np.tanh(values @ within + shift)
        return np.asarray(values @ weights + bias)

    def draw(self, seen: Floats, rng: np.random.Generator) -> Floats:
        """Actions (n, actions) for what is seen (n, observations)."""
        mean = self.mean(seen)
        noise = rng.standard_normal(mean.shape, dtype=np.float32)
        return np.asarray(mean + np.exp(self.log_std) * noise)

    def log_density(self, seen: Floats, actions: Floats) -> Floats:
        """Ln pi(a|s), shape (n,)."""
        off = (actions - self.mean(seen)) / np.exp(self.log_std)
        constant = self.log_std.sum() + 0.5 * len(self.log_std) * np.log(2 * np.pi)
        return np.asarray(-0.5 * (off**2).sum(axis=1) - constant, dtype=np.float32)


_REST = ("log_std", "center", "spread")


def _floats(values: npt.ArrayLike, name: str) -> Floats:
    found = checks.finite(values, name).astype(np.float32)
    freeze(found)
    return found
