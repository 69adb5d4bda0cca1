import os
import signal

# One BLAS thread, before NumPy starts them: small matrices gain nothing from more, and on a busy
# machine threads that wait for each other take minutes.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from drawn import GAMES, random_game, random_policies

from malfl import LearningLog, MarkovGame, learn
from malfl.games import gridworlds

# Whoever starts tests in the background may have them ignore interrupts, which some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=os.environ.get("NUMBA_DISABLE_JIT") == "1")
def words_wrap_around():
    """Interpreted, kernels do on NumPy's scalars what is meant to overflow, and NumPy warns."""
    with np.errstate(over="ignore"):
        yield


@pytest.fixture(params=GAMES)
def game(request) -> MarkovGame:
    return random_game(np.random.default_rng(7), **GAMES[request.param])


@pytest.fixture
def policies(game):
    return random_policies(game.actions, game.n_states, np.random.default_rng(8))


@pytest.fixture(scope="session")
def hom() -> MarkovGame:
    return gridworlds.ma_lfl("hom")


@pytest.fixture(scope="session")
def hom_log(hom) -> LearningLog:
    """The paper's experiment with fewer steps, every state visited."""
    return learn(hom, iterations=4, episodes=3000, steps=200, seed=0)
