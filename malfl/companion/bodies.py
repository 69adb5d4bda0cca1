"""LfL's experiment with bodies (Section 6.2): learners, observers, and controls, for the record."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from malfl.control.clones import pooled_clones, separate_clones
from malfl.control.learn import Reward, Run, learn
from malfl.control.lfl import LfL
from malfl.control.motion import Motion, motion_and_advantages
from malfl.control.play import score
from malfl.control.policy import Policy
from malfl.control.rewards import LogDensity, lifted
from malfl.control.rollout import RolloutView
from malfl.control.trex import TRex

Row = dict[str, Any]


class Setting(NamedTuple):
    """What an observer sees of a learner (LfL, Section 6.3)."""

    window: range  #: updates after which it sees a rollout
    history: range  #: those after which one sees all of the learner's way
    seeds: int


SETTINGS = {
    "Reacher": Setting(range(10, 21), range(0, 21, 2), 5),
    "HalfCheetah": Setting(range(30, 41), range(0, 41, 4), 5),
    "Hopper": Setting(range(10, 31, 5), range(0, 31, 3), 5),
    "Ant": Setting(range(10, 31, 5), range(0, 31, 3), 3),
}
UPDATES = 30  # of an observer
SCORED = 10  # updates after which policies are scored over whole episodes


class Seen(NamedTuple):
    """What an observer may use."""

    window: RolloutView
    history: RolloutView
    seed: int  # of what it draws


class Observer(NamedTuple):
    """With which policy it begins, and from which reward it learns."""

    clones: Callable[[RolloutView, int], tuple[Policy, ...]]
    reward: Callable[[Seen], Reward | None]  # None for the true one


def _algorithm_1(seen: Seen) -> LogDensity:
    return LfL().reward(seen.window, seen.seed)


def _released(seen: Seen) -> LogDensity:
    return LfL(released=True).reward(seen.window, seen.seed)


def _pooled(seen: Seen) -> LogDensity:
    return LfL("pooled").reward(seen.window, seen.seed)


def _structural(seen: Seen) -> Reward:
    return lifted(Motion().reward(seen.history, seen.seed), seen.window)


OBSERVERS = {
    "Algorithm 1": Observer(separate_clones, _algorithm_1),
    "Algorithm 1, released": Observer(separate_clones, _released),
    "Algorithm 1, lifted": Observer(
        separate_clones, lambda seen: lifted(_algorithm_1(seen), seen.window)
    ),
    "ln pi": Observer(
        separate_clones, lambda seen: LogDensity(separate_clones(seen.window, seen.seed)[-1])
    ),
    "true reward": Observer(separate_clones, lambda seen: None),
    "Algorithm 1, pooled": Observer(pooled_clones, _pooled),
    "Algorithm 1, pooled, lifted": Observer(
        pooled_clones, lambda seen: lifted(_pooled(seen), seen.window)
    ),
    "structural": Observer(pooled_clones, _structural),
    "T-REX": Observer(pooled_clones, lambda seen: TRex().reward(seen.history, seen.seed)),
    "T-REX, window": Observer(pooled_clones, lambda seen: TRex().reward(seen.window, seen.seed)),
    "true reward, pooled clone": Observer(pooled_clones, lambda seen: None),
}
CLONES = {"separate clone": separate_clones, "pooled clone": pooled_clones}
LIFTED = {"Algorithm 1, lifted", "Algorithm 1, pooled, lifted"}
ENDLESS = set(OBSERVERS) - LIFTED
ENDING = {"Algorithm 1", "Algorithm 1, lifted", "T-REX", "true reward, pooled clone"}
WHO = {
    "Reacher": ENDLESS,
    "HalfCheetah": ENDLESS,
    "Hopper": ENDING | {"Algorithm 1, pooled, lifted"},
    "Ant": ENDING,
}


def observers(task: str) -> list[str]:
    """The names of those of a task; fewer where a run takes long."""
    return [name for name in OBSERVERS if name in WHO[task]]


def learner_rows(run: Run) -> list[Row]:
    """A row for each policy of a learner, with scores where it is first and last seen."""
    window = SETTINGS[run.task].window
    rows = rows_of(run, "learner", {0, window[0], window[-1]})
    rows[window[0]]["motion and advantages"] = held(run)
    return rows


def clone_rows(run: Run) -> list[Row]:
    """Rows of clones that learn nothing."""
    window = run.seen(SETTINGS[run.task].window)
    return [
        {"task": run.task, "seed": run.seed, "who": name, "update": 0}
        | scores(clones(window, run.seed)[-1], run.task, run.seed)
        for name, clones in CLONES.items()
    ]


def observed(name: str, run: Run) -> tuple[list[Row], Policy]:
    """A row for each policy of an observer, and its last policy."""
    given, setting = OBSERVERS[name], SETTINGS[run.task]
    seen = Seen(run.seen(setting.window), run.seen(setting.history), run.seed)
    reward, start = given.reward(seen), given.clones(seen.window, seen.seed)[-1]
    own = learn(run.task, UPDATES, seed=run.seed, reward=reward, start=start)
    rows = rows_of(own, name, set(range(0, UPDATES + 1, SCORED)))
    if reward is not None:
        rows[0] |= {
            "correlation, window": correlation(reward, run, setting.window),
            "correlation, last": correlation(reward, run, setting.window[-1:]),
        }
        rows[-1]["correlation, end"] = correlation(reward, own, [UPDATES])
    return rows, own.policies[-1]


def correlation(reward: Reward, run: Run, updates: Sequence[int]) -> float:
    """Of a reward with the true one, over all steps of some rollouts."""
    rollouts = [run.rollouts[k] for k in updates]
    found = [reward(r.before, r.actions.astype(np.float32), r.after) for r in rollouts]
    return float(np.corrcoef(np.ravel(found), np.ravel(run.rewards[list(updates)]))[0, 1])


def held(run: Run) -> float:
    """What a window holds at most: of the true motion of policies with true advantages."""
    window = SETTINGS[run.task].window
    pairs = [
        motion_and_advantages(
            run.policies[k], run.policies[then], run.rollouts[k], run.rewards[k][:, None]
        )
        for k, then in itertools.pairwise(window)
    ]
    moved, advantages = (
        np.concatenate([np.ravel(pair[part]) for pair in pairs]) for part in (0, 1)
    )
    return float(np.corrcoef(moved, advantages)[0, 1])


def rows_of(run: Run, who: str, scored: set[int]) -> list[Row]:
    """A row for each policy: as it played while it learned, and scores of some."""
    return [
        {
            "task": run.task, "seed": run.seed, "who": who, "update": k,
            "return": run.returns[k], "length": run.lengths[k],
            "std": float(np.exp(run.policies[k].log_std).mean()),
        }
        | (scores(run.policies[k], run.task, run.seed) if k in scored else {})
        for k in range(len(run.policies))
    ]  # fmt: skip


def scores(policy: Policy, task: str, seed: int) -> Row:
    """Mean returns and lengths of whole episodes, as played and by the mean action."""
    found: Row = {}
    for name, mean_action in (("as played", False), ("mean action", True)):
        returns, lengths = score(policy, task, mean_action=mean_action, seed=seed)
        found |= {
            f"return, {name}": float(returns.mean()),
            f"length, {name}": float(lengths.mean()),
        }
    return found
