"""Calls that are wrong by their types alone: the type checker refuses each of them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GOOD = """
import malfl

game = malfl.gridworlds.ma_lfl("hom")
log = malfl.learn(game, malfl.SoftPolicyIteration(beta=0.1), seed=0, record=True)
view = log.seen_by(1)
malfl.recover(view, of=0, by="structural")
malfl.recover(view, of=0, by=malfl.Replay(beta=0.1, executed=True))
malfl.Study({"hom": game}, malfl.Training(), {"s": malfl.Structural()}, seeds=[0]).scores()
malfl.learn(game, [malfl.QLearning(0.1), malfl.SoftValueIteration()], seed=0)
"""
WRONG = {
    "a misspelt option": "malfl.Replay(bta=0.1)",
    "a misspelt name of an estimator": 'malfl.recover(view, of=0, by="strutural")',
    "a text for a number": 'malfl.Replay(beta="high")',
    "a mapping for an estimator": (
        'malfl.Study({"hom": game}, malfl.Training(), {"s": {"metod": "replay"}}, seeds=[0])'
    ),
    "a name for a learner": 'malfl.learn(game, "Q-learnin", seed=0)',
    "a log for a view": "malfl.recover(log, of=0)",
    "a class for an estimator": "malfl.recover(view, of=0, by=malfl.Replay)",
    "an estimator for a learner": "malfl.learn(game, malfl.Replay(), seed=0)",
}


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """Lines of a program that mypy --strict refuses."""
    program = GOOD + "\n".join(WRONG.values()) + "\n"
    file = tmp_path_factory.mktemp("types") / "program.py"
    file.write_text(program)
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", str(file)],
        cwd=ROOT, text=True, capture_output=True,
    )  # fmt: skip
    assert run.returncode == 1, run.stdout + run.stderr
    numbers = {int(n) for n in re.findall(r"program\.py:(\d+): error", run.stdout)}
    return {program.splitlines()[n - 1] for n in numbers}


def test_what_is_right_passes(refused):
    assert not refused & set(GOOD.splitlines())


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused(refused, name):
    assert WRONG[name] in refused
