"""Studies with and without executors; with a store, see tests/studies/test_store.py."""

import multiprocessing
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from drawn import random_game

import malfl
from malfl import (
    Adam,
    AsIfAlone,
    CausalEntropy,
    EvidenceRidge,
    LastPolicy,
    LeastSquares,
    PathLikelihood,
    QLearning,
    Replay,
    SoftPolicyIteration,
    SoftValueIteration,
    Structural,
    Study,
    Training,
    WithEstimatedRules,
    progress,
)
from malfl.evaluation import Comparison, compare
from malfl.recovery import (
    Descended,
    NothingToLearnError,
    as_if_alone,
    estimate_policies,
    estimate_rules,
    forecast,
)
from malfl.recovery.forecast import prediction_error
from malfl.studies import (
    NO_CHANGE,
    Recovered,
    errors_of_forecast,
    misread_alpha,
    recovered,
    rewards,
    trained_and_recovered,
)
from malfl.studies import study as studies

TRAINING = Training(SoftPolicyIteration(0.1), alpha=3.0, iterations=4, episodes=500, steps=100)
ESTIMATORS = {"structural": Structural(), "replay": Replay(0.1)}
SMALL = Training(SoftPolicyIteration(0.2), alpha=0.7, iterations=5, episodes=400, steps=40)
LIKELIEST = PathLikelihood((SoftPolicyIteration(evaluation="exact"),))
COLUMNS = ["game", "seed", "agent", "estimator", "improvements", "truth"]


@pytest.fixture(scope="module")
def het():
    return malfl.gridworlds.ma_lfl("het")


@pytest.fixture(scope="module")
def small():
    return random_game(np.random.default_rng(2), (2, 3), 4, state_rewards=True)


@pytest.fixture(scope="module")
def three():
    return random_game(np.random.default_rng(3), (2, 3, 2), 3, state_rewards=True)


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.fixture
def runs_made(monkeypatch):
    """Seeds of the runs in which agents learned, in this process."""
    made, train, lock = [], studies.train, threading.Lock()

    def counted(game, training, seed, **options):
        with lock:
            made.append(seed)
        return train(game, training, seed, **options)

    monkeypatch.setattr(studies, "train", counted)
    return made


# What is recovered in one run.


def test_every_agent_is_seen_by_the_next_one(three):
    log = malfl.learn(three, alpha=0.7, iterations=4, episodes=500, steps=200, seed=0)
    found = recovered(log, {"LS": LeastSquares(), "structural": Structural()})
    assert [one[:3] for one in found] == [
        (agent, name, 3) for agent in range(3) for name in ("LS", "structural")
    ]
    for agent, name, _, reward in found:
        view = log.seen_by((agent + 1) % 3)
        by = {"LS": LeastSquares(), "structural": Structural()}[name]
        np.testing.assert_array_equal(reward.values, malfl.recover(view, of=agent, by=by).values)


def test_who_is_alone_is_seen_by_a_bystander():
    game = random_game(np.random.default_rng(4), (3,), 4, state_rewards=True)
    log = malfl.learn(game, alpha=0.7, iterations=4, episodes=400, steps=50, seed=0)
    ((agent, _, _, reward),) = recovered(log, {"structural": Structural()})
    assert agent == 0
    expected = malfl.recover(log.seen_by(None), of=0)
    np.testing.assert_array_equal(reward.values, expected.values)


def test_rewards_are_recovered_of_those_asked_for_and_from_as_many_improvements(small):
    log = malfl.learn(small, alpha=0.7, iterations=5, episodes=400, steps=40, seed=1)
    found = recovered(
        log, {"a": Structural(), "b": LeastSquares()}, agents=[1], improvements=[4, 2]
    )
    assert [one[:3] for one in found] == [(1, "a", 4), (1, "a", 2), (1, "b", 4), (1, "b", 2)]
    for _, name, length, reward in found:
        by = {"a": Structural(), "b": LeastSquares()}[name]
        part = log.seen_by(0).first(length + 1)
        np.testing.assert_array_equal(reward.values, malfl.recover(part, of=1, by=by).values)


@pytest.mark.parametrize("length", [0, 5])
def test_as_many_improvements_must_have_been_seen(small, length):
    log = malfl.learn(small, alpha=0.7, iterations=5, episodes=40, steps=40, seed=1)
    with pytest.raises(ValueError, match=rf"improvements must lie in 1\.\.4, got {length}"):
        recovered(log, {"structural": Structural()}, improvements=[1, length])


def test_rules_may_be_estimated_from_the_moves_seen():
    slippery = malfl.gridworlds.ma_lfl("hom", slip=0.3)
    by = WithEstimatedRules(Structural(beta=0.1))
    log, found = trained_and_recovered(slippery, TRAINING, 1, {"rules estimated": by}, agents=[0])
    view = log.seen_by(1)
    guessed = replace(view, dynamics=estimate_rules(view))
    given = {"of": 0, "by": Structural(beta=0.1), "unvisited": "omit"}
    expected, known = malfl.recover(guessed, **given), malfl.recover(view, **given)
    np.testing.assert_array_equal(found[0].reward.values, expected.values)
    assert np.abs(found[0].reward.values - known.values).max() > 1e-6


def test_who_assumes_that_an_agent_is_the_only_one_sees_it_alone(small):
    estimators = {"alone": AsIfAlone(LeastSquares()), "not alone": LeastSquares()}
    log, found = trained_and_recovered(small, SMALL, 1, estimators)
    by_name = {(agent, name): reward.values for agent, name, _, reward in found}
    study = Study({"small": small}, SMALL, estimators, [1], improvements=[2, 4])
    table = study.scores().set_index(["estimator", "agent", "improvements"])["PCC"]
    for agent in (0, 1):
        view = log.seen_by(1 - agent)
        given = {"of": 0, "by": LeastSquares(), "unvisited": "omit"}
        expected = malfl.recover(as_if_alone(view, agent), **given)
        np.testing.assert_array_equal(by_name[agent, "alone"], expected.values)
        assert np.abs(by_name[agent, "alone"] - by_name[agent, "not alone"]).max() > 1e-3
        for length in (2, 4):
            part = as_if_alone(view.first(length + 1), agent)
            pcc = malfl.correlation(malfl.recover(part, **given), small.rewards[agent]).pearson
            assert table["alone", agent, length] == pcc


def test_rules_that_are_estimated_may_be_those_of_a_world_alone(small):
    by = WithEstimatedRules(AsIfAlone(Structural()))
    log, found = trained_and_recovered(small, SMALL, 1, {"both": by}, agents=[0])
    view = log.seen_by(1)
    guessed = replace(view, dynamics=estimate_rules(view))
    alone = as_if_alone(guessed, 0)
    expected = malfl.recover(alone, of=0, by=Structural(), unvisited="omit")
    np.testing.assert_array_equal(found[0].reward.values, expected.values)


@dataclass(frozen=True)
class Blind(LeastSquares):
    """An estimator that never finds anything."""

    def solve(self, system):
        raise NothingToLearnError("nothing is seen")


def test_of_whom_nothing_is_learned_there_is_no_reward_and_no_score(small):
    few = SMALL.but(iterations=3, episodes=5, steps=5)
    by = {"alone": AsIfAlone(Blind())}
    _, found = trained_and_recovered(small, few, 0, by)
    assert [one.reward for one in found] == [None, None]
    assert rewards(small, few, 0, by) == {}
    table = Study({"small": small}, few, by, [0]).scores()
    assert (table["PCC"] == 0).all()
    assert (table["states"] == 0).all()
    assert not table["converged"].any()


def test_rewards_of_a_run_come_by_agent_and_estimator(small):
    both = {"structural": Structural(), "LS": LeastSquares()}
    found = rewards(small, SMALL, 3, both, agents=[1])
    assert list(found) == [(1, "structural"), (1, "LS")]
    log, expected = trained_and_recovered(small, SMALL, 3, both, agents=[1])
    assert log.training.seed == 3
    for one in expected:
        assert isinstance(one, Recovered)
        np.testing.assert_array_equal(found[1, one.estimator].values, one.reward.values)


def test_a_seed_is_that_of_estimators_too(small):
    by = {"descended": LeastSquares(policies=Descended(steps=3))}
    log = malfl.learn(small, alpha=0.7, iterations=3, episodes=400, steps=40, seed=1)
    for seed in (0, 5):
        ((_, _, _, reward),) = recovered(log, by, agents=[0], seed=seed)
        expected = malfl.recover(log.seen_by(1), of=0, by=by["descended"], seed=seed)
        np.testing.assert_array_equal(reward.values, expected.values)
    other = recovered(log, by, agents=[0])[0].reward
    assert np.abs(reward.values - other.values).max() > 1e-6


def test_what_an_estimator_draws_does_not_depend_on_the_others(small):
    log = malfl.learn(small, alpha=0.7, iterations=4, episodes=400, steps=40, seed=1)
    drawing = LeastSquares(policies=Descended(steps=3))
    alone = recovered(log, {"a": drawing}, agents=[1], improvements=[3])
    among = recovered(log, {"b": drawing, "a": drawing}, improvements=[1, 3, 2])
    (same,) = [one for one in among if one[:3] == (1, "a", 3)]
    np.testing.assert_array_equal(same.reward.values, alone[0].reward.values)


@pytest.mark.parametrize(
    ("estimator", "needs"),
    [
        (Structural(), False),
        (LeastSquares(policies=Descended()), False),
        (Adam("joint-action", equations="released"), False),
        (CausalEntropy(), False),
        (LastPolicy(), False),
        (AsIfAlone(Structural()), False),
        (Replay(0.1), True),
        (WithEstimatedRules(Structural()), True),
        (PathLikelihood(), True),
        (PathLikelihood((QLearning(),)), True),
        (LIKELIEST, False),
        (PathLikelihood((SoftValueIteration(),)), False),
    ],
    ids=repr,
)
def test_steps_are_recorded_for_those_who_need_them(small, estimator, needs):
    assert estimator.needs_steps == needs
    short = SMALL.but(iterations=2, episodes=20)
    log, _ = trained_and_recovered(small, short, 0, {"it": estimator}, agents=[0])
    assert (log.episodes is not None) == needs


# A study's scores.


def test_scores_are_comparisons_of_what_each_run_recovers():
    games = {kind: malfl.gridworlds.ma_lfl(kind, size=2) for kind in ("hom", "het")}
    short = TRAINING.but(iterations=3, episodes=30)
    study = Study(games, short, ESTIMATORS, [3, 1], improvements=[2, 1])
    table = study.scores()
    assert list(table.columns) == [*COLUMNS, *Comparison._fields]
    keys = [
        (game, seed, agent, name, length, game)
        for game in games for seed in (3, 1) for agent in (0, 1)
        for name in ESTIMATORS for length in (2, 1)
    ]  # fmt: skip
    assert list(table[COLUMNS].itertuples(index=False, name=None)) == keys
    types = {name: str(of) for name, of in table.dtypes.items()}
    assert types["PCC"] == types["EPIC"] == types["calibration"] == "float64"
    assert (types["agent"], types["states"], types["converged"]) == ("int64", "int64", "bool")
    _, found = trained_and_recovered(games["het"], short, 1, ESTIMATORS, improvements=[2, 1])
    rows = table.query("game == 'het' and seed == 1")
    for one, (_, row) in zip(found, rows.iterrows(), strict=True):
        expected = pd.Series(compare(one.reward, games["het"], one.agent)._asdict(), dtype=object)
        pd.testing.assert_series_equal(row[list(Comparison._fields)], expected, check_names=False)


def test_other_games_rewards_may_count_as_the_true_ones(het):
    hom = malfl.gridworlds.ma_lfl("hom")
    study = Study({"hom": hom}, TRAINING.but(iterations=3), {"LS": LeastSquares()}, [3], agents=[0])
    table = study.scores(against={"mine": hom, "yours": het})
    assert list(table["truth"]) == ["mine", "yours"]
    found = rewards(hom, TRAINING.but(iterations=3), 3, {"LS": LeastSquares()})[0, "LS"]
    assert list(table["PCC"]) == [compare(found, game, 0).PCC for game in (hom, het)]
    assert abs(np.diff(table["PCC"])) > 0.01


def test_only_those_asked_for_are_observed(het):
    table = Study({"het": het}, TRAINING, {"LS": LeastSquares()}, [0], [1], [1, 3]).scores()
    assert list(table["agent"]) == [1, 1]
    assert list(table["improvements"]) == [1, 3]


@pytest.mark.parametrize("learners", [QLearning(0.2), (SoftValueIteration(), QLearning(0.2))])
def test_those_observed_may_learn_in_other_ways(small, learners):
    """Steps are recorded for those who need them."""
    training = SMALL.but(learners=learners)
    by = PathLikelihood((SoftValueIteration(), QLearning(0.2)))
    estimators = {"path": by, "LS": LeastSquares()}
    table = Study({"small": small}, training, estimators, seeds=[3]).scores()
    log = malfl.learn(
        small, learners, alpha=0.7, iterations=5, episodes=400, steps=40, record=True, seed=3
    )
    for agent in (0, 1):
        learner = learners[agent] if isinstance(learners, tuple) else learners
        found = malfl.recover(log.seen_by(1 - agent), of=agent, by=by, unvisited="omit")
        assert found.diagnostics.learner == learner
        row = table[table["agent"] == agent].set_index("estimator").loc["path"]
        score = malfl.correlation(found, small.rewards[agent])
        assert tuple(row[["PCC", "SCC", "states"]]) == score
        assert score.pearson > 0.95


def test_those_observed_may_evaluate_exactly(small):
    exact = SMALL.but(learners=SoftPolicyIteration(evaluation="exact"))
    table = Study({"small": small}, exact, {"structural": Structural()}, seeds=[3]).scores()
    log = malfl.learn(
        small, exact.learners, alpha=0.7, iterations=5, episodes=400, steps=40, seed=3
    )
    found = malfl.recover(log.seen_by(1), of=0, unvisited="omit")
    assert table["PCC"][0] == malfl.correlation(found, small.rewards[0]).pearson


# Executors.


@pytest.fixture(params=["one processor", "threads", "processes"])
def executor(request, monkeypatch):
    monkeypatch.setattr(progress, "cores", lambda: 1 if request.param == "one processor" else 2)
    return request.getfixturevalue("processes") if request.param == "processes" else None


STUDIED = {
    "descent": Adam("joint-action", policies=Descended(steps=3), steps=5),
    "replay": Replay(0.2),
    "structural": Structural(),
}


@pytest.fixture(scope="module")
def study(small, three):
    return Study({"small": small, "three": three}, SMALL, STUDIED, [2, 0], improvements=[1, 4])


@pytest.fixture(scope="module")
def one_thread():
    with ThreadPoolExecutor(1) as thread:
        yield thread


@pytest.fixture(scope="module")
def scores(study, one_thread):
    return study.scores(executor=one_thread)


@pytest.fixture(scope="module")
def forecasts(study, one_thread):
    return study.forecasts(executor=one_thread)


def test_scores_are_the_same_wherever_runs_are_made(study, scores, executor):
    again = study.scores(executor=executor)
    pd.testing.assert_frame_equal(again, scores, check_exact=True)
    assert len(again) == 2 * 3 * 2 * (2 + 3)  # seeds, estimators, lengths, agents


class Counting(ThreadPoolExecutor):
    """How often something was submitted."""

    submitted = 0

    def submit(self, *given, **options):
        self.submitted += 1
        return super().submit(*given, **options)


@pytest.mark.parametrize("use", ["scores", "forecasts"])
def test_runs_are_made_by_the_executor_given(small, use):
    with Counting(1) as executor:
        getattr(Study({"small": small}, SMALL, STUDIED, [2, 0, 1]), use)(executor=executor)
        assert executor.submitted == 3


def test_forecasts_are_the_same_wherever_runs_are_made(study, forecasts, executor):
    again = study.forecasts(executor=executor)
    pd.testing.assert_frame_equal(again, forecasts, check_exact=True)
    assert len(again) == 2 * 4 * 4 * (2 + 6)  # seeds, estimators, iterations, pairs


@dataclass(frozen=True)
class Interrupted:
    """An estimator during whose work someone interrupts, once two results are in the store."""

    store: str
    notes: str

    needs_steps = False
    needs_improvements = True

    def prepare(self, view, agent, rng):
        with (Path(self.notes) / "runs").open("a") as runs:
            runs.write("x")
        if len(list(Path(self.store).glob("*.npz"))) > 1 and not self.may_end.exists():
            raise KeyboardInterrupt
        return LeastSquares().prepare(view, agent, rng)

    @property
    def may_end(self):
        return Path(self.notes) / "may end"

    def runs(self):
        """How many were made since this was asked last."""
        file = Path(self.notes) / "runs"
        made = len(file.read_text())
        file.unlink()
        return made


def test_an_interrupted_study_goes_on_where_it_was(small, executor, tmp_path):
    for name in ("store", "notes"):
        (tmp_path / name).mkdir()
    by = Interrupted(str(tmp_path / "store"), str(tmp_path / "notes"))
    study = Study({"small": small}, SMALL, {"it": by}, range(9), agents=[1], improvements=[4])
    with pytest.raises(KeyboardInterrupt):
        study.scores(executor=executor, store=by.store)
    stored = list((tmp_path / "store").iterdir())
    assert by.runs() > len(stored) > 1
    assert all(file.suffix == ".npz" for file in stored)
    by.may_end.touch()
    resumed = study.scores(executor=executor, store=by.store)
    assert by.runs() == 9 - len(stored)
    assert all(file.exists() for file in stored)
    expected = replace(study, estimators={"it": LeastSquares()}).scores()
    pd.testing.assert_frame_equal(resumed, expected, check_exact=True)
    pd.testing.assert_frame_equal(study.scores(store=by.store), expected, check_exact=True)
    assert not (tmp_path / "notes" / "runs").exists()


def test_interrupted_forecasts_go_on_where_they_were(small, executor, tmp_path):
    for name in ("store", "notes"):
        (tmp_path / name).mkdir()
    by = Interrupted(str(tmp_path / "store"), str(tmp_path / "notes"))
    study = Study({"small": small}, SMALL, {"it": by}, range(7))
    with pytest.raises(KeyboardInterrupt):
        study.forecasts(executor=executor, store=by.store)
    stored = list((tmp_path / "store").iterdir())
    assert 1 < len(stored) < 7
    by.may_end.touch()
    by.runs()
    resumed = study.forecasts(executor=executor, store=by.store)
    assert by.runs() == 2 * (7 - len(stored))
    expected = replace(study, estimators={"it": LeastSquares()}).forecasts()
    pd.testing.assert_frame_equal(resumed, expected, check_exact=True)


# What is refused.

GOOD = {"games": {}, "training": SMALL, "estimators": {"it": Structural()}, "seeds": [0]}


@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        ({"games": {"small": "hom"}}, TypeError, r"games\['small'\] must be of type MarkovGame"),
        ({"training": {"alpha": 3.0}}, TypeError, "training must be of type Training"),
        ({"training": Training}, TypeError, r"not a class of them: Training\(\)"),
        ({"estimators": {"it": "structural"}}, TypeError, r"estimators\['it'\] must be of type"),
        ({"estimators": {"it": Structural}}, TypeError, r"not a class of them: Structural\(\)"),
        ({"estimators": {"it": QLearning()}}, TypeError, r"estimators\['it'\] must be of type"),
        ({"seeds": [0, -1]}, ValueError, r"seeds\[1\] must be at least 0, got -1"),
        ({"seeds": [0.5]}, TypeError, r"seeds\[0\] must be a whole number, got 0\.5"),
        ({"agents": [0, 2]}, ValueError, r"agents must lie in 0\.\.1, got 2"),
        ({"improvements": [1, 5]}, ValueError, r"improvements must lie in 1\.\.4, got 5"),
        ({"improvements": [1.5]}, TypeError, "improvements must be a whole number, got 1.5"),
        ({"improvements": []}, ValueError, "improvements must name at least one, got none"),
        ({"agents": ()}, ValueError, "agents must name at least one, got none"),
        (
            {"agents": 0},
            TypeError,
            "agents must be a sequence with one or more whole numbers, got 0",
        ),
        ({"games": malfl.gridworlds.ma_lfl("hom")}, TypeError, "games must be of type Mapping"),
        ({"estimators": Structural()}, TypeError, "estimators must be of type Mapping"),
        ({"improvements": [0]}, ValueError, r"improvements must lie in 1\.\.4, got 0"),
        ({"training": SMALL.but(learners="Q-learning")}, TypeError, "learners"),
        (
            {"training": SMALL.but(learners=(QLearning(),))},
            ValueError,
            "learners must hold one array for each of 2 agents, got 1",
        ),
        ({"improvement": [1]}, TypeError, "unexpected keyword argument 'improvement'"),
    ],
)
def test_what_is_no_study_is_named_before_anything_runs(small, runs_made, changed, kind, message):
    good = GOOD | {"games": {"small": small}}
    Study(**good)
    with pytest.raises(kind, match=message):
        Study(**good | changed)
    assert runs_made == []


def test_games_without_rewards_are_refused(small):
    with pytest.raises(TypeError, match=r"games\['it'\] must be of type MarkovGame .*Dynamics"):
        Study(**GOOD | {"games": {"it": small.without_rewards()}})


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Structural(bet=3), "unexpected keyword argument 'bet'"),
        (lambda: Replay(step_size=0.1), "unexpected keyword argument 'step_size'"),
        (lambda: Training(beta=0.1), "unexpected keyword argument 'beta'"),
        (lambda: SMALL.but(episode=3), "unexpected keyword argument 'episode'"),
        (lambda: SoftPolicyIteration(gamma=0.1), "unexpected keyword argument 'gamma'"),
        (lambda: Training(QLearning), r"not a class of them: QLearning\(\)"),
    ],
)
def test_options_that_do_not_exist_are_refused(made, message):
    with pytest.raises(TypeError, match=message):
        made()


@pytest.mark.parametrize(
    ("against", "kind"),
    [
        ({"other": "het"}, TypeError),
        ({"other": malfl.gridworlds.ma_lfl("hom", size=2)}, ValueError),
        ({"other": malfl.gridworlds.ma_lfl("hom", size=2).without_rewards()}, TypeError),
    ],
)
@pytest.mark.parametrize("stored", [False, True])
def test_true_rewards_that_are_none_are_refused_before_anything_runs(
    small, runs_made, tmp_path, against, kind, stored
):
    study = Study(**GOOD | {"games": {"small": small}})
    with pytest.raises(kind):
        study.scores(against=against, store=tmp_path if stored else None)
    assert runs_made == []


# Forecasts.


@pytest.fixture(scope="module")
def followed(het):
    return Study({"het": het}, TRAINING, ESTIMATORS, seeds=[0, 4]).forecasts()


def test_everyone_follows_everyone_else(followed):
    assert list(followed.columns) == [
        "game", "seed", "observer", "agent", "estimator", "iteration", "error", "error by visits",
        "error seen", "PCC",
    ]  # fmt: skip
    assert len(followed) == 2 * 2 * 3 * 3  # seeds, pairs, estimators, iterations
    assert set(zip(followed["observer"], followed["agent"], strict=True)) == {(0, 1), (1, 0)}
    assert list(followed["estimator"].unique()) == [NO_CHANGE, *ESTIMATORS]
    assert list(followed["iteration"].unique()) == [1, 2, 3]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_errors_are_of_the_policy_that_came_next(het, followed, name):
    log = malfl.learn(
        het, TRAINING.learners, alpha=3.0, iterations=4, episodes=500, steps=100, seed=4,
        record=True,
    )  # fmt: skip
    found = forecast(log.seen_by(0), of=1, by=ESTIMATORS[name])
    rows = followed.query(f"seed == 4 and agent == 1 and estimator == '{name}'")
    shares = estimate_policies(log.seen_by(0))[1]
    visits = log.counts.sum(axis=2)
    for h, row in enumerate(rows.itertuples(), start=1):
        wrong = prediction_error(log.policies[1][h + 1], found.policies[h - 1])
        assert row.error == pytest.approx(wrong.mean())
        known = np.isfinite(found.rewards[h - 1])
        pcc = np.corrcoef(found.rewards[h - 1][known], het.rewards[1][known])[0, 1]
        assert pcc == pytest.approx(row.PCC)
        if h < 3:
            weights = visits[h + 1] / visits[h + 1].sum()
            assert row[-3] == pytest.approx(weights @ wrong)
            seen = prediction_error(shares[h + 1], found.policies[h - 1])
            assert row[-2] == pytest.approx(weights @ np.nan_to_num(seen))
    assert np.isnan(rows["error by visits"].to_numpy()[-1])
    assert np.isnan(rows["error seen"].to_numpy()[-1])


def test_who_expects_no_change_expects_what_was_seen_last(het, followed):
    log = malfl.learn(
        het, TRAINING.learners, alpha=3.0, iterations=4, episodes=500, steps=100, seed=0
    )
    shares = estimate_policies(log.seen_by(1))[0]
    rows = followed.query(f"seed == 0 and agent == 0 and estimator == '{NO_CHANGE}'")
    for h, row in enumerate(rows.itertuples(), start=1):
        wrong = prediction_error(log.policies[0][h + 1], shares[h])
        assert row.error == pytest.approx(np.nan_to_num(wrong).mean())
    assert rows["PCC"].isna().all()


def test_who_has_seen_too_little_goes_on(het):
    few = TRAINING.but(episodes=3)
    table = Study({"het": het}, few, {"blind": Blind()}, seeds=[0]).forecasts()
    assert (table.query("estimator == 'blind'")["PCC"] == 0).all()
    assert table["error"].notna().all()


@pytest.mark.parametrize("of", [0, 2])
def test_errors_of_a_forecast_are_those_of_the_next_agent(three, of):
    found = errors_of_forecast(three, SMALL, 6, Structural(), of)
    log = malfl.learn(
        three, SMALL.learners, alpha=0.7, iterations=5, episodes=400, steps=40, seed=6
    )
    predicted = forecast(log.seen_by((of + 1) % 3), of=of, by=Structural())
    assert found.shape == (4, 3)
    for h in range(4):
        expected = prediction_error(log.policies[of][h + 2], predicted.policies[h])
        np.testing.assert_array_equal(found[h], expected)


def test_steps_are_recorded_for_a_forecast_that_needs_them(small):
    found = errors_of_forecast(small, SMALL, 6, Replay(0.2))
    assert found.shape == (4, 4)
    assert np.isfinite(found).all()


# Observers who are wrong about alpha.

FACTORS = (0.1, 1.0, 10.0)
OBSERVERS = {
    "least squares": LeastSquares(),
    "structural": Structural(),
    "evidence": EvidenceRidge(),
    "replay": Replay(0.2),
    "path": LIKELIEST,
    "Adam": Adam("joint-action", steps=100),
}


@pytest.mark.parametrize("agent", [0, 1])
def test_with_the_wrong_alpha_only_the_scale_is_wrong(small, agent):
    """Unless one stops before the equations are solved."""
    table = misread_alpha(small, SMALL, 1, OBSERVERS, FACTORS, agent=agent)
    assert tuple(table.columns) == ("estimator", "factor", "PCC", "scale")
    assert list(table["estimator"]) == [name for name in OBSERVERS for _ in FACTORS]
    assert list(table["factor"]) == list(FACTORS) * len(OBSERVERS)
    for name, rows in table.groupby("estimator", sort=False):
        once = rows["scale"].to_numpy()[1]
        if name == "Adam":
            assert np.ptp(rows["PCC"]) > 0.01
            assert np.ptp(rows["scale"] / rows["factor"]) > 0.1
        else:
            np.testing.assert_allclose(rows["scale"] / rows["factor"], once, rtol=1e-4)
            np.testing.assert_allclose(rows["PCC"], rows["PCC"].iloc[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("agent", [0, 1])
def test_scale_and_correlation_are_of_what_the_next_agent_finds(small, agent):
    table = misread_alpha(small, SMALL, 1, {"Adam": OBSERVERS["Adam"]}, [2.5], agent=agent)
    log = malfl.learn(
        small, SMALL.learners, alpha=0.7, iterations=5, episodes=400, steps=40, seed=1
    )
    view = replace(log.seen_by(1 - agent), alpha=2.5 * 0.7)
    found = malfl.recover(view, of=agent, by=OBSERVERS["Adam"]).values.mean(axis=1)
    true = small.rewards[agent]
    (row,) = table.itertuples()
    correlation = np.corrcoef(found, true)[0, 1]
    assert correlation == pytest.approx(row.PCC)
    assert row.scale == pytest.approx(np.std(found) / np.std(true))


def test_observers_may_assume_another_alpha(small):
    given = {"agents": [1], "improvements": [3]}
    log, found = trained_and_recovered(small, SMALL, 1, OBSERVERS, **given, alpha=2.0)
    assert log.alpha == 0.7
    view = replace(log.seen_by(0), alpha=2.0).first(4)
    for one in found:
        expected = malfl.recover(view, of=1, by=OBSERVERS[one.estimator], seed=1)
        np.testing.assert_array_equal(one.reward.values, expected.values)


def test_by_default_it_is_the_first_agent_whose_alpha_is_misread(small):
    given = small, SMALL, 1, {"LS": LeastSquares()}, [2.0]
    assert misread_alpha(*given).equals(misread_alpha(*given, agent=0))
    assert not misread_alpha(*given).equals(misread_alpha(*given, agent=1))


def test_states_that_were_not_seen_do_not_count_in_the_scale():
    unseen = np.zeros((5, 3, 5))
    unseen[..., :4] = np.random.default_rng(0).dirichlet(np.ones(4), size=(5, 3))
    values = np.array([0.3, -1.0, 0.8, 0.1, 50.0])
    two = malfl.MarkovGame(
        actions=(3, 1), transitions=unseen, rewards=[values, values], start=0, gamma=0.8
    )
    exact = Training(SoftPolicyIteration(evaluation="exact"), 0.7, 5, 4000, 50)
    (row,) = misread_alpha(two, exact, 0, {"LS": LeastSquares()}, [1.0]).itertuples()
    assert row.scale == pytest.approx(1, abs=0.1)
    assert row.PCC > 0.98
