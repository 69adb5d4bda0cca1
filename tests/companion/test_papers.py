import numpy as np

import malfl
from malfl import Adam, EvidenceRidge, LeastSquares, Replay, Structural
from malfl.companion.papers import better_estimators, papers_estimators
from malfl.recovery import Descended, estimate_policies, recover_from_policies
from malfl.studies import recovered


def test_the_papers_estimators_are_three_readings_of_its_loss():
    estimators = papers_estimators(7, 0.2)
    adam = {"policies": Descended(0.3, 10, 0.1), "steps": 7, "rate": 0.2}
    assert estimators == {
        "as released": Adam("joint-action", equations="released", **adam),
        "Eq. 12 as printed": Adam("joint-action", equations="printed", **adam),
        "Theorem 5.1, same Adam": Adam("joint-action", equations="theorem", **adam),
    }
    for one in papers_estimators().values():
        assert (one.steps, one.rate) == (1000, 0.01)


def test_the_papers_policies_are_fitted_by_descent(hom):
    log = malfl.learn(hom, iterations=3, episodes=1000, steps=100, seed=0)
    released = papers_estimators(7, 0.2)["as released"]
    found = recovered(log, {"released": released}, agents=[0], seed=5)[0].reward
    view = log.seen_by(1)
    policies = estimate_policies(view, Descended(0.3, 10, 0.1), seed=5)
    adam = Adam("joint-action", equations="released", steps=7, rate=0.2)
    alone = recover_from_policies(view.dynamics, policies, of=0, alpha=view.alpha, by=adam)
    np.testing.assert_array_equal(found.values, alone.values)


def test_who_knows_the_learners_step_size():
    assert better_estimators(0.2) == {
        "least squares, R(s)": LeastSquares(),
        "evidence ridge, R(s)": EvidenceRidge(),
        "structural": Structural(0.2, reward_class="state"),
        "replay": Replay(0.2, reward_class="state"),
    }
