"""Episodes of a table as those of a game whose rules are known."""

import numpy as np

from malfl.checks import IntArray
from malfl.data.codebook import Codebooks
from malfl.data.played import UNKNOWN, Found, Played, as_episodes, without_open_ends
from malfl.games.markov import Dynamics, MarkovGame
from malfl.play.episodes import Episodes
from malfl.recovery.moves import forbidden_move


def found_by_rules(played: Played, books: Codebooks, game: Dynamics) -> Found:
    """Episodes of a game.

    Raises
    ------
    ValueError
        If states or actions are none of the game's, or something was done or happened that its
        rules forbid.
    """
    _check_states(played, books, game)
    played = played._replace(actions=_actions(played, game))
    _check_ends(played, game)
    played, notes = without_open_ends(_last_by_rules(played, game))
    episodes = as_episodes(played, game.n_states, game.actions)
    _check_moves(episodes, played, game)
    dynamics = game.without_rewards() if isinstance(game, MarkovGame) else game
    return Found(dynamics, episodes, books.states.labels, notes)


def _check_states(played: Played, books: Codebooks, game: Dynamics) -> None:
    states = game.n_states
    for name, book, size in [
        ("states", books.states, states),
        *(
            (f"actions[{i}]", book, size)
            for i, (book, size) in enumerate(zip(books.actions, game.actions, strict=True))
        ),
    ]:
        got = "none" if book.unordered else len(book.labels or ())
        if book.labels is not None and got != size:
            raise ValueError(
                f"{name} must give the {size} labels in the order of their numbers in game, got "
                f"{got}"
            )
    for of, rows in ((played.states, played.row_of), (played.last, played.last_row_of)):
        if of.size and of.max() >= states:
            bad = int(of.argmax())
            raise ValueError(
                f"state {of[bad]} in row {rows(bad)} is none of the {states} states of game"
            )


def _actions(played: Played, game: Dynamics) -> tuple[IntArray, ...]:
    """The agents' actions, with the only legal one where an agent did not act."""
    states = played.states
    if (over := game.ends[states]).any():
        step = int(np.argmax(over))
        raise ValueError(
            f"an agent acts in row {played.row_of(step)}, in state {states[step]}, but an episode "
            "of game ends there; leave the action empty"
        )
    found = []
    for i, given in enumerate(played.actions):
        legal, size = game.legal[i], game.actions[i]
        if (large := given >= size).any():
            step = int(np.argmax(large))
            raise ValueError(
                f"agent {i} takes action {given[step]} in row {played.row_of(step)}; in game it "
                f"has actions 0..{size - 1}"
            )
        own = given
        if (idle := given < 0).any():
            choices = legal.sum(axis=1)
            if (lost := idle & (choices > 1)[states]).any():
                step = int(np.argmax(lost))
                raise ValueError(
                    f"agent {i} has no action in row {played.row_of(step)}, where it may choose "
                    f"among {choices[states[step]]} in state {states[step]}"
                )
            own = given.copy()
            own[idle] = legal.argmax(axis=1)[states[idle]]
        if (wrong := ~legal[states, own]).any():
            step = int(np.argmax(wrong))
            raise ValueError(
                f"agent {i} takes action {own[step]} in row {played.row_of(step)}, which is not "
                f"legal in state {states[step]}"
            )
        found.append(own)
    return tuple(found)


def _check_ends(played: Played, game: Dynamics) -> None:
    """Raise if an episode ended in a state in which none of the game's does."""
    wrong = played.ended & (played.last >= 0) & ~game.ends[played.last]
    if wrong.any():
        episode = int(np.argmax(wrong))
        raise ValueError(
            f"the episode that begins in row {played.first_row[episode]} ended in state "
            f"{played.last[episode]}, but no episode of game ends there"
        )


def _last_by_rules(played: Played, game: Dynamics) -> Played:
    """With the states in which episodes were left, where the last step leads to one only."""
    moves = game.transitions
    (open_,) = np.nonzero((played.last == UNKNOWN) & (played.lengths > 0))
    steps = played.ends[open_] - 1
    joint = np.ravel_multi_index(
        [own[steps].astype(np.int64) for own in played.actions], game.actions
    )
    rows = played.states[steps].astype(np.int64) * game.n_joint_actions + joint
    begin = moves.indptr[rows]
    only = moves.indptr[rows + 1] - begin == 1
    last = played.last.copy()
    last[open_[only]] = moves.indices[begin[only]]
    return played._replace(last=last)


def _check_moves(episodes: tuple[Episodes, ...], played: Played, game: Dynamics) -> None:
    """Raise if a step leads where the rules say that it cannot."""
    wrong = forbidden_move(episodes, game)
    if wrong is not None:
        step = sum(each.steps for each in episodes[: wrong.iteration]) + wrong.step
        raise ValueError(
            f"joint action {wrong.action} led from state {wrong.state} to state {wrong.after} in "
            f"row {played.row_of(step)}, which the rules of game forbid; without game, rules are "
            "estimated"
        )
