"""``python -m malfl.companion.benchmarks.bodies``: how fast bodies are simulated, and learn.

Beside Gymnasium's vector environment, and Stable-Baselines3 where that is installed; it needs
PyTorch, so this library does not ask for it.
"""

import os

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import pandas as pd
import psutil

from malfl.companion.artefacts import Results
from malfl.control import TASKS, learn
from malfl.control.simulations import Simulations

NUMBER = 32  # simulations
STEPS = 200  # of each, at a time
ROUNDS = 5
AT_LEAST = 0.85  # of the steps a second of MuJoCo alone
AT_MOST = 0.5  # of Stable-Baselines3's seconds
LEARNED = "HalfCheetah"


def main() -> int:
    """Measure, write tables, and say what was missed."""
    parser = argparse.ArgumentParser(
        prog="python -m malfl.companion.benchmarks.bodies", description=__doc__
    )
    parser.add_argument("--folder", type=Path, required=True, help="where tables go")
    out = Results(parser.parse_args().folder)
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):
        process.cpu_affinity(process.cpu_affinity()[:1])
    table = pd.DataFrame([simulated(task) for task in TASKS])
    print(out.save_table("bodies_simulated", table).to_string(index=False))
    met = bool((table["malfl"] >= AT_LEAST * table["MuJoCo alone"]).all())
    if importlib.util.find_spec("stable_baselines3") is None:
        print("Updates were not compared: pip install stable-baselines3")
        return 0 if met else 1
    updates = pd.DataFrame([learned()])
    print(out.save_table("bodies_learned", updates).to_string(index=False))
    return 0 if met and (updates["ratio"] <= AT_MOST).all() else 1


def simulated(task: str) -> dict[str, object]:
    """Steps a second of each, the best of some rounds that alternate."""
    bodies = Simulations(TASKS[task], NUMBER, np.random.default_rng(0))
    rivals = gymnasium.make_vec(f"{task}-v5", NUMBER, "sync")
    rivals.reset(seed=0)
    actions = np.random.default_rng(1).uniform(-1, 1, (STEPS, NUMBER, len(bodies.bounds)))

    def ours() -> None:
        for some in actions:
            step = bodies.step(some)
            over = np.flatnonzero(step.ended | step.cut)
            if over.size:
                bodies.begin(over)
                bodies.seen()

    def theirs() -> None:
        for some in actions:
            rivals.step(some)

    def alone() -> None:
        bodies.begin(np.arange(NUMBER))
        for some in actions:  # with nothing around it
            bodies._ctrl[:] = some
            bodies._batch.step(nstep=bodies.task.frames)

    best = {ours: np.inf, theirs: np.inf, alone: np.inf}
    for _ in range(ROUNDS):
        for one in best:
            best[one] = min(best[one], seconds(one))
    rivals.close()
    mine, other, most = (STEPS * NUMBER / best[one] for one in (ours, theirs, alone))
    return {
        "task": task, "malfl": mine, "MuJoCo alone": most, "Gymnasium": other,
        "ratio": mine / other,
    }  # fmt: skip


def learned() -> dict[str, object]:
    """Seconds of an update of 65 536 steps, those of simulation included; compilation is not."""
    learn(LEARNED, 1)
    mine = (seconds(lambda: learn(LEARNED, 3)) - seconds(lambda: learn(LEARNED, 1))) / 2
    other = (seconds(lambda: _theirs(3)) - seconds(lambda: _theirs(1))) / 2
    return {"task": LEARNED, "malfl": mine, "Stable-Baselines3": other, "ratio": mine / other}


def _theirs(updates: int) -> None:
    """With the same settings."""
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize

    torch.set_num_threads(1)
    envs = VecNormalize(make_vec_env(f"{LEARNED}-v5", NUMBER, seed=0))
    agent = PPO(
        "MlpPolicy", envs, n_steps=2048, batch_size=2048, n_epochs=10, ent_coef=0.0,
        policy_kwargs={"net_arch": [64, 64]}, device="cpu", seed=0,
    )  # fmt: skip
    agent.learn(updates * NUMBER * 2048)
    envs.close()


def seconds(call: Callable[[], object]) -> float:
    """Of the processor, which other programs change least."""
    began = time.process_time()
    call()
    return time.process_time() - began


if __name__ == "__main__":
    sys.exit(main())
