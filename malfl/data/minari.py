"""Tables of what a data set of Minari holds, for agents that see and do what can be numbered."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from malfl import checks, progress
from malfl.checks import IntArray

COLUMNS = ("episode", "step", "state", "action", "ended")

Dataset = Any  # of Minari, which is not imported


def is_dataset(source: object) -> bool:
    """Whether it is a data set of Minari."""
    return hasattr(source, "iterate_episodes")


def rows_of(dataset: Dataset) -> Iterator[pa.RecordBatch]:
    """A row for each step, and one for the state in which an episode was left; an episode a batch.

    Codes are counted from where the data set's spaces begin.

    Raises
    ------
    TypeError, ValueError
        If observations or actions are not whole numbers, or there is not one observation more than
        actions.
    """
    first_state, first_action = (
        int(getattr(getattr(dataset, name, None), "start", 0))
        for name in ("observation_space", "action_space")
    )
    for number, episode in enumerate(dataset.iterate_episodes()):
        progress.advance()
        states = _whole(episode.observations, f"observations of episode {number}") - first_state
        actions = _whole(episode.actions, f"actions of episode {number}") - first_action
        steps = len(actions)
        if len(states) != steps + 1:
            raise ValueError(
                f"observations of episode {number} must be one more than its {steps} actions, got "
                f"{len(states)}"
            )
        ended = np.zeros(steps + 1, dtype=bool)
        ended[max(steps - 1, 0) :] = bool(np.any(episode.terminations[-1:]))
        columns = (
            np.full(steps + 1, number), np.arange(steps + 1), states,
            pa.array(np.append(actions, 0), mask=np.arange(steps + 1) == steps), ended,
        )  # fmt: skip
        yield pa.RecordBatch.from_arrays([pa.array(one) for one in columns], COLUMNS)


def _whole(values: object, name: str) -> IntArray:
    found = np.asarray(values)
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise TypeError(
            f"{name} must be whole numbers, one a step; got {checks.shown(found.dtype)} of shape "
            f"{found.shape}"
        )
    return found.astype(np.int64)
