"""Scores of runs that were made before, so that nobody has to make them again."""

import hashlib
import json
import os
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from malfl.artefacts import Results
from malfl.games import MarkovGame


class Memory:
    """A folder with a file for each run: what was scored in it, by who scored what.

    Parameters
    ----------
    folder
        Made if it does not exist.

    Raises
    ------
    ValueError
        If the folder cannot be made or written to.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._files = Results(folder, "memory")

    def recall(self, run: str) -> dict[str, list[Any]]:
        """The scores of a run, empty if there are none.

        Raises
        ------
        ValueError
            If the file is not one that `keep` wrote.
        """
        file = self._files.folder / f"{run}.json"
        if not file.exists():
            return {}
        try:
            scores = json.loads(file.read_text())
        except ValueError as error:
            raise ValueError(f"{file} must hold the scores of a run, remove it: {error}") from None
        if not isinstance(scores, dict):
            raise ValueError(f"{file} must hold the scores of a run, remove it")
        return scores

    def keep(self, run: str, scores: Mapping[str, Any]) -> None:
        """Write the scores of a run in place of those that are there."""
        self._files.save_json(run, scores)


def run_name(game: MarkovGame, settings: Mapping[str, Any], seed: int) -> str:
    """One number for all that a run depends on, the code included.

    Raises
    ------
    TypeError
        If settings are anything but names and numbers.
    """
    digest = hashlib.sha256(code().encode())
    digest.update(game_name(game).encode())
    digest.update(json.dumps([dict(settings), seed], sort_keys=True).encode())
    return digest.hexdigest()


def game_name(game: MarkovGame) -> str:
    """One number for a game."""
    digest = hashlib.sha256(repr((game.actions, game.gamma)).encode())
    moves = game.transitions
    for array in (moves.data, moves.indices, moves.indptr, game.start, *game.rewards):
        digest.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@cache
def code() -> str:
    """One number for this library and those it computes with."""
    versions = [metadata.version(name) for name in ("numba", "numpy", "scipy")]
    digest = hashlib.sha256(repr(versions).encode())
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.hexdigest()
