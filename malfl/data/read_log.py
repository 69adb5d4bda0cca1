"""From a table of what happened, whoever wrote it, to a log."""

import warnings
from collections.abc import Sequence

from malfl import checks, progress
from malfl.data.assemble import Assembler
from malfl.data.codebook import Codebooks
from malfl.data.columns import Columns, Reader, find_columns
from malfl.data.play_log import PlayLog
from malfl.data.played import Played, in_iterations, in_order
from malfl.data.tables import Source, Table, open_table
from malfl.data.with_rules import found_by_rules
from malfl.data.without_rules import found_by_moves
from malfl.games.markov import Dynamics

SHOWN = 8  # labels that come once, in a warning


class DoubtfulLogWarning(UserWarning):
    """Something in a table looks like a mistake."""


def read_log(
    source: Source,
    *,
    game: Dynamics | None = None,
    gamma: float | None = None,
    alpha: float | None = None,
    window: int | None = None,
    iteration: str | None = None,
    episode: str | None = None,
    step: str | None = None,
    state: str = "state",
    action: str | Sequence[str] | None = None,
    next_state: str | None = None,
    ended: str | None = None,
    acted: str | Sequence[str] | None = None,
    states: Sequence[str] | None = None,
    actions: Sequence[Sequence[str] | None] | None = None,
    smoothing: float = 1.0,
) -> PlayLog:
    """Read what agents did while they learned from a table with a row for each step.

    Rows are in order. Where an episode was left is the next state of its last row, or the state of
    one more row without actions. If neither is there, the last step is left out unless the rules
    say where it led, or the episode ended. Rows are counted from 0 in errors.

    Parameters
    ----------
    source
        The path of a CSV, Parquet or Arrow file, a data frame of pandas or Polars, a table of
        Arrow, a mapping from names to columns, or a data set of Minari whose observations and
        actions are whole numbers.
    game
        The rules. If they are not known, they are estimated from the moves.
    gamma
        The agents' discount factor, if ``game`` is not given; see `malfl.Dynamics`.
    alpha
        Their entropy coefficient; if it is not known, rewards come in its unit.
    window
        If no column says which iteration a row belongs to: so many episodes make one. In a table
        that is one long episode, so many steps.
    iteration, episode, step, state, next_state, ended
        Names of columns, by default these very names where the table has them. A policy is the same
        throughout an iteration. ``ended`` says whether the episode ended with the step, and was not
        just cut off.
    action, acted
        Names of columns, one an agent, by default ``"action"`` or ``"action_0"``, ``"action_1"``
        and so on. An agent does not act where its action is empty, or ``acted`` is false; in a
        state it either always acts or never, as in games with turns.
    states, actions
        The labels of states, and of each agent's actions, in the order of their numbers. By default
        labels in the table are sorted.
    smoothing
        Of estimated rules; see `malfl.recovery.estimate_rules`.

    Returns
    -------
    PlayLog
        Its ``notes`` say what was left out or never seen.

    Warns
    -----
    DoubtfulLogWarning
        If a label comes only once, as a misspelt one does.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError, ValueError
        If a column is missing, an entry is not what it should be, rows do not follow each other, or
        something was done that the rules forbid. Row and column are named.
    MemoryError
        If the table does not fit.
    """
    table = open_table(source)
    _check_rules(game, gamma)
    columns = find_columns(
        table.columns, table.name, iteration=iteration, episode=episode, step=step, state=state,
        action=action, next_state=next_state, ended=ended, acted=acted,
        agents=None if game is None else game.n_agents,
    )  # fmt: skip
    window = _check_window(window, columns, table)
    smoothing = checks.not_negative(smoothing, "smoothing")
    books = Codebooks.of(len(columns.actions), states, actions)
    played = in_order(_read(table, columns, books), books)
    played = in_iterations(played, window)
    if game is not None:
        found = found_by_rules(played, books, game)
    else:
        assert gamma is not None
        found = found_by_moves(played, books, gamma, smoothing)
    once = books.seen_once()
    if once:
        warnings.warn(
            f"labels may be misspelt: {'; '.join(once[:SHOWN])}", DoubtfulLogWarning, stacklevel=2
        )
    return PlayLog(
        found.dynamics, found.episodes, alpha, game is None, found.states, books.action_names,
        found.notes + once,
    )  # fmt: skip


def _check_rules(game: Dynamics | None, gamma: float | None) -> None:
    if game is None:
        if gamma is None:
            raise ValueError("gamma, the agents' discount factor, must be given, or game")
        return
    checks.instance(game, Dynamics, "game", "the rules, or a game")
    if gamma is not None:
        raise ValueError(f"gamma must be left out where game is given, got {checks.shown(gamma)}")


def _check_window(window: int | None, columns: Columns, table: Table) -> int | None:
    if window is None:
        if columns.iteration is None:
            raise ValueError(
                "window must be given, so many episodes an iteration, as no column names "
                f"iterations; those of {table.name} are {', '.join(table.columns)}"
            )
        return None
    if columns.iteration is not None:
        raise ValueError(
            f"window must be left out, as column '{columns.iteration}' names iterations"
        )
    return checks.count(window, "window")


def _read(table: Table, columns: Columns, books: Codebooks) -> Played:
    """All rows, batch by batch."""
    reader, assembler = Reader(columns, books), Assembler(columns, books.states)
    for batch in table.batches:
        progress.advance()
        assembler.add(reader.read(batch))
    return assembler.finish(table.name)
