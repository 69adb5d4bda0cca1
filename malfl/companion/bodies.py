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
ENDS = ("Hopper", "Ant")  # tasks in which an episode can end


class Observer(NamedTuple):
    """With which policy and which reward it begins."""

    clone: str  #: "separate" or "pooled"
    reward: str  #: one of `reward_of`


OBSERVERS = {
    "Algorithm 1": Observer("separate", "Algorithm 1"),
    "Algorithm 1, released": Observer("separate", "Algorithm 1, released"),
    "ln pi": Observer("separate", "ln pi"),
    "true reward": Observer("separate", "true reward"),
    "Algorithm 1, pooled": Observer("pooled", "Algorithm 1, pooled"),
    "structural": Observer("pooled", "structural"),
    "T-REX": Observer("pooled", "T-REX"),
    "true reward, pooled clone": Observer("pooled", "true reward"),
}
LIFTED = {
    "Algorithm 1, lifted": Observer("separate", "Algorithm 1, lifted"),
    "Algorithm 1, pooled, lifted": Observer("pooled", "Algorithm 1, pooled, lifted"),
}
COSTLY = ("Algorithm 1, released", "ln pi", "structural")  # left out for Ant


def observers(task: str) -> dict[str, Observer]:
    """Those of a task, by name."""
    found = OBSERVERS | (LIFTED if task in ENDS else {})
    return {name: of for name, of in found.items() if task != "Ant" or name not in COSTLY}


def reward_of(name: str, run: Run, seed: int) -> Reward | None:
    """A reward of the learner's by the name of how it is recovered; None for the true one."""
    setting = SETTINGS[run.task]
    window = run.seen(setting.window)
    method = name.removesuffix(", lifted")
    if method == "true reward":
        return None
    if method == "structural":
        return lifted(Motion().reward(run.seen(setting.history), seed), window)
    if method == "T-REX":
        return TRex().reward(run.seen(setting.history), seed)
    if method == "ln pi":
        return LogDensity(separate_clones(window, seed)[-1])
    options = {
        "Algorithm 1, pooled": {"policies": "pooled"},
        "Algorithm 1, released": {"released": True},
    }
    found = LfL(**options.get(method, {})).reward(window, seed)  # type: ignore[arg-type]
    return lifted(found, window) if name.endswith("lifted") else found


def learner_rows(run: Run) -> list[Row]:
    """A row for each policy of a learner, with scores where it is first and last seen."""
    window = SETTINGS[run.task].window
    rows = rows_of(run, "learner", {window[0], window[-1]})
    rows[window[0]]["motion and advantages"] = held(run)
    return rows


def clone_rows(run: Run) -> list[Row]:
    """Rows of clones that learn nothing."""
    window = run.seen(SETTINGS[run.task].window)
    return [
        {"task": run.task, "seed": run.seed, "who": f"{name} clone", "update": 0}
        | scores(clones(window, run.seed)[-1], run.task, run.seed)
        for name, clones in CLONES.items()
    ]


CLONES: dict[str, Callable[[RolloutView, int], tuple[Policy, ...]]] = {
    "separate": separate_clones,
    "pooled": pooled_clones,
}


def observed(name: str, run: Run) -> tuple[list[Row], Policy]:
    """A row for each policy of an observer, and its last policy."""
    given = observers(run.task)[name]
    window = run.seen(SETTINGS[run.task].window)
    reward = reward_of(given.reward, run, run.seed)
    start = CLONES[given.clone](window, run.seed)[-1]
    own = learn(run.task, UPDATES, seed=run.seed, reward=reward, start=start)
    rows = rows_of(own, name, set(range(0, UPDATES + 1, SCORED)))
    if reward is not None:
        seen = SETTINGS[run.task].window
        rows[0] |= {
            "correlation, window": correlation(reward, run, seen),
            "correlation, last": correlation(reward, run, seen[-1:]),
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
