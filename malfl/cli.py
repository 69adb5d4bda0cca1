"""The command line: `malfl recover log.csv --of 0 --gamma 0.95` and what belongs to it.

It reads and writes the files of the Python calls. Whatever is refused ends with status 1 and a line
that says why; a wrong command with 2; a reward that is doubtful with 3, and undetermined with 4.
"""

import json
import shutil
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import numpy as np
import typer

import malfl
from malfl import data, values
from malfl.games import classics, gridworlds
from malfl.games.markov import Dynamics, MarkovGame
from malfl.learners.log import LearningLog, Training
from malfl.learners.soft_policy_iteration import SoftPolicyIteration
from malfl.play.view import View
from malfl.recovery.named import DEFAULTS
from malfl.recovery.reward import RecoveredReward
from malfl.recovery.verdict import DoubtfulRewardWarning

app = typer.Typer(
    help="Learn reward functions by watching agents learn.", no_args_is_help=True,
    pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip

STATUS = {"sound": 0, "doubtful": 3, "undetermined": 4}
GAMES = {
    "ma-lfl-hom": lambda: gridworlds.ma_lfl("hom"),
    "ma-lfl-het": lambda: gridworlds.ma_lfl("het"),
    "lfl": gridworlds.lfl,
    "iterated-dilemma": classics.iterated_dilemma,
    "stag-hunt": classics.stag_hunt,
    "lanes": classics.lanes,
    "hand-over": classics.hand_over,
    "coin": classics.coin,
    "soccer": classics.soccer,
    "predator-prey": classics.predator_prey,
    "frozen-lake": classics.frozen_lake,
}
Table = data.PlayLog | LearningLog | View

Game = Annotated[str, typer.Argument(help=f"A file of a game, or {', '.join(GAMES)}.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Where to write it.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Column = Annotated[str | None, typer.Option(help="Name of the column.")]
States = Annotated[
    str | None, typer.Option(help="Labels in the order of their numbers, separated by commas.")
]


@contextmanager
def _refusing() -> Iterator[None]:
    """Say in one line why something is refused."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.simplefilter("ignore", DoubtfulRewardWarning)
            warnings.showwarning = _warn
            yield
    except (ValueError, TypeError, OSError, MemoryError) as error:
        _refuse(error)


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    typer.echo(f"Warning: {message}", err=True)


def _refuse(error: Exception) -> NoReturn:
    typer.echo(f"Error: {error}", err=True)
    raise typer.Exit(1)


@app.command()
def example(
    out: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("mouse.csv"),
) -> None:
    """Write an example log: a mouse that learns its way through 16 rooms."""
    with _refusing():
        if out.exists():
            raise ValueError(f"'{out}' exists already")
        shutil.copyfile(data.example_log(), out)
    typer.echo(f"Wrote {out}. Next: malfl recover {out} --of 0 --gamma 0.9")


@app.command()
def learn(
    game: Game,
    out: Out,
    beta: Annotated[float, typer.Option(help="Step size of temporal differences.")] = 0.1,
    exact: Annotated[bool, typer.Option("--exact", help="Exact values instead.")] = False,
    alpha: Annotated[float, typer.Option(help="Entropy coefficient.")] = 3.0,
    iterations: int = 10,
    episodes: int = 3000,
    steps: int = 1000,
    seed: int = 0,
    record: Annotated[bool, typer.Option(help="Keep episodes, not only counts.")] = False,
) -> None:
    """Let agents learn in a game by soft policy iteration, and write the log."""
    with _refusing():
        learner = SoftPolicyIteration(evaluation="exact") if exact else SoftPolicyIteration(beta)
        training = Training(learner, alpha, iterations, episodes, steps)
        log = malfl.learners.train(_with_rewards(game), training, seed, record=record)
        log.save(out)
    typer.echo(f"Wrote {out}: {log.iterations} iterations of {int(log.counts[0].sum())} steps.")


@app.command()
def recover(
    source: Annotated[Path, typer.Argument(help="A table, or a file that malfl saved.")],
    of: Annotated[int, typer.Option(help="The agent, counted from 0.")] = 0,
    by: Annotated[str, typer.Option(help=f"One of: {', '.join(DEFAULTS)}.")] = "auto",
    game: Annotated[str | None, typer.Option(help="The rules, if they are known.")] = None,
    gamma: Annotated[float | None, typer.Option(help="Discount factor, without a game.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Entropy coefficient, if known.")] = None,
    window: Annotated[int | None, typer.Option(help="Episodes that make an iteration.")] = None,
    iteration: Column = None,
    episode: Column = None,
    step: Column = None,
    state: Annotated[str, typer.Option(help="Name of the column.")] = "state",
    action: Annotated[list[str] | None, typer.Option(help="Column, one an agent.")] = None,
    next_state: Column = None,
    ended: Column = None,
    acted: Annotated[list[str] | None, typer.Option(help="Column, one an agent.")] = None,
    states: States = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for reward.npz, .csv and .png.")
    ] = None,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Recover an agent's reward from a log, and say how far to trust it.

    States that were not visited in some iteration are omitted there.
    """
    with _refusing():
        if source.suffix == ".npz":
            log = _saved_log(source)
        else:
            log = malfl.read_log(
                source, game=None if game is None else _game(game), gamma=gamma, alpha=alpha,
                window=window, iteration=iteration, episode=episode, step=step, state=state,
                action=action or None, next_state=next_state, ended=ended, acted=acted or None,
                states=_listed(states),
            )  # fmt: skip
        view = log if isinstance(log, View) else log.seen_by(None)
        name: Any = by
        reward = malfl.recover(view, of=of, by=name, unvisited="omit", seed=seed)
        names = _names(log, of)
        if out is not None:
            _write(reward, values.writable_folder(out, "out"), names)
    if as_json:
        notes = log.notes if isinstance(log, data.PlayLog) else ()
        typer.echo(json.dumps(_as_json(reward, names, notes)))
    else:
        if isinstance(log, data.PlayLog):
            typer.echo(log.summary() + "\n")
        typer.echo(reward.summary(**_for(reward, names)))
        if out is not None:
            typer.echo(f"Wrote reward.npz, reward.csv and reward.png to {out}.")
    raise typer.Exit(STATUS[reward.verdict])


@app.command()
def compare(
    reward: Annotated[Path, typer.Argument(help="A file of a recovered reward.")],
    game: Game,
    agent: Annotated[int, typer.Option(help="Whose reward it is, counted from 0.")] = 0,
    as_json: Json = False,
) -> None:
    """Compare a recovered reward with the true one."""
    with _refusing():
        found = malfl.compare(RecoveredReward.load(reward), _with_rewards(game), agent)
    numbers = {
        name: None if np.isnan(number) else number for name, number in found._asdict().items()
    }
    if as_json:
        typer.echo(json.dumps(numbers))
        return
    for name, number in numbers.items():
        said = "not known" if number is None else f"{number:.4g}"
        typer.echo(f"{name:12} {said if not isinstance(number, bool) else number}")
    if found.remark:
        typer.echo(found.remark)


@app.command()
def summary(
    file: Annotated[Path, typer.Argument(help="A file that malfl saved, or a table.")],
) -> None:
    """Say what is in a file."""
    with _refusing():
        value = values.read(file)
        said = getattr(value, "summary", None)
        text = repr(value) if said is None else said()
    typer.echo(text)


@app.command()
def plot(
    reward: Annotated[Path, typer.Argument(help="A file of a recovered reward.")],
    out: Out,
    rows: Annotated[int | None, typer.Option(help="Of a grid of all states.")] = None,
    columns: Annotated[int | None, typer.Option(help="Of a grid of all states.")] = None,
    game: Annotated[
        str | None,
        typer.Option(help="For a graph: a file saved by malfl, or the name of an example."),
    ] = None,
    states: States = None,
) -> None:
    """Draw a recovered reward: PNG, SVG or PDF, by the name of the file."""
    with _refusing():
        if (rows is None) != (columns is None):
            raise ValueError("--rows and --columns must be given together")
        layout = None if rows is None or columns is None else (rows, columns)
        graph = None if game is None else _game(game)
        _draw(RecoveredReward.load(reward), out, (_listed(states), None), layout, graph)
    typer.echo(f"Wrote {out}.")


def _listed(names: str | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(name.strip() for name in names.split(","))


def _game(name: str) -> Dynamics:
    if name in GAMES:
        return GAMES[name]()
    if not Path(name).is_file():
        raise ValueError(f"game must be a file, or one of {', '.join(GAMES)}, got '{name}'")
    value = values.read(name)
    if isinstance(value, LearningLog):
        return value.game
    if isinstance(value, Dynamics):
        return value
    raise ValueError(f"'{name}' must hold a game, got a {type(value).__name__}")


def _with_rewards(name: str) -> MarkovGame:
    game = _game(name)
    if not isinstance(game, MarkovGame):
        raise ValueError(f"'{name}' must hold a game with rewards, got its rules")
    return game


def _saved_log(path: Path) -> Table:
    value = values.read(path)
    if not isinstance(value, Table):
        raise ValueError(f"'{path}' must hold a log or a view, got a {type(value).__name__}")
    return value


Names = tuple[tuple[str, ...] | None, tuple[str, ...] | None]


def _names(log: Table, agent: int) -> Names:
    """Of states and of the agent's actions, as far as the log has them."""
    if not isinstance(log, data.PlayLog):
        return None, None
    return log.states, None if log.actions is None else log.actions[agent]


def _for(reward: RecoveredReward, names: Names) -> dict[str, tuple[str, ...] | None]:
    states, actions = names
    return {"states": states,
            "actions": actions if reward.reward_class == "state-action" else None}  # fmt: skip


def _write(reward: RecoveredReward, folder: Path, names: Names) -> None:
    reward.save(folder / "reward.npz")
    table = malfl.reward_table(reward, **_for(reward, names))
    values.write_whole(folder / "reward.csv", lambda file: table.to_csv(file, index=False))
    _draw(reward, folder / "reward.png", names)


def _draw(
    reward: RecoveredReward,
    path: Path,
    names: Names,
    layout: tuple[int, int] | None = None,
    game: Dynamics | None = None,
) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    figure = malfl.plot_reward(reward, layout=layout, game=game, **_for(reward, names))
    kind = path.suffix.removeprefix(".").lower()
    allowed = ("png", "svg", "pdf")
    if kind not in allowed:
        raise ValueError(f"out must end in .png, .svg or .pdf, got '{path.name}'")
    values.write_whole(path, lambda file: figure.savefig(file, format=kind, dpi=150))


def _as_json(reward: RecoveredReward, names: Names, notes: tuple[str, ...]) -> dict[str, object]:
    """What a program may want to know of a reward."""
    judged, fit = reward.judgement, reward.diagnostics
    promise = getattr(fit, "promise", None)
    table = malfl.reward_table(reward, **_for(reward, names))
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return {
        "verdict": judged.verdict, "reasons": judged.reasons, "advice": judged.advice,
        "reward_class": reward.reward_class, "scale_known": reward.scale_known,
        "correlation_expected": None if promise is None else promise.correlation,
        "correlation_at_least": None if promise is None else promise.at_least,
        "notes": notes, "likeliest": reward.compared[0][0] if reward.compared else None,
        "entries": rows,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(app())
