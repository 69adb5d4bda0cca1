import warnings

import naive
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logs import assert_same_episodes, played, small, table

import malfl
from malfl import gridworlds
from malfl.data import DoubtfulLogWarning, tables


@pytest.fixture(params=[1, 4, 10**6])
def in_batches(request, monkeypatch):
    """Rows come in batches of so many."""
    monkeypatch.setattr(tables, "BATCH_ROWS", request.param)


@pytest.mark.parametrize("agents", [1, 2])
def test_a_log_comes_back_as_it_was(agents, in_batches):
    game, log = played(agents)
    read = malfl.read_log(table(log), game=game, alpha=log.alpha)
    assert_same_episodes(read.episodes, log.episodes)
    assert read.alpha == log.alpha
    assert type(read.dynamics) is malfl.Dynamics
    np.testing.assert_array_equal(read.counts, log.counts)
    assert not read.notes
    mine, theirs = (one.seen_by(None) for one in (read, log))
    kinds = "structural"
    np.testing.assert_array_equal(
        malfl.recover(mine, of=0, by=kinds, unvisited="omit").values,
        malfl.recover(theirs, of=0, by=kinds, unvisited="omit").values,
    )


def save_as(frame, path):
    """As a file of the kind that its name says."""
    kind = path.suffix.lower()
    if kind == ".csv":
        frame.to_csv(path, index=False)
    elif kind in (".parquet", ".pq"):
        pyarrow.parquet.write_table(pa.table(frame), path)
    else:
        pyarrow.feather.write_feather(frame, path, compression="uncompressed")


@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow", "feather", "pq", "CSV"])
def test_files(kind, tmp_path, in_batches):
    game, log = played()
    frame, path = table(log), tmp_path / f"log.{kind}"
    save_as(frame, path)
    for where in (path, str(path)):
        assert_same_episodes(malfl.read_log(where, game=game).episodes, log.episodes)


def test_tables_of_any_kind():
    game, log = played()
    frame = table(log)
    arrays = {name: of.to_numpy() for name, of in frame.items()}
    for given_ in (frame, pa.table(frame), arrays, frame.astype(float), frame.astype("int8")):
        assert_same_episodes(malfl.read_log(given_, game=game).episodes, log.episodes)


def test_labels_are_sorted_and_come_back(in_batches):
    game, log = played()
    frame = table(log)
    rooms = [f"room {s:02d}" for s in range(game.n_states)]
    frame["state"] = [rooms[s] for s in frame.state]
    frame["next_state"] = [rooms[s] for s in frame.next_state]
    ways = ["down", "left", "right", "stay", "up"]
    frame["action_0"] = pd.Categorical([ways[a] for a in frame.action_0])
    seen = sorted({*frame.state, *frame.next_state})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DoubtfulLogWarning)
        read = malfl.read_log(frame, gamma=0.9)
    assert list(read.states) == seen
    assert read.actions == (tuple(ways), tuple("01234"))
    new = {rooms.index(room): k for k, room in enumerate(seen)}
    for mine, theirs in zip(read.episodes, log.episodes, strict=True):
        before, actions, after = theirs.moves()
        found = mine.moves()
        assert [new[s] for s in before] == found[0].tolist()
        assert actions.tolist() == found[1].tolist()
        assert [new[s] for s in after] == found[2].tolist()


def test_labels_may_be_given_in_the_order_of_their_numbers():
    game, log = played()
    frame = table(log)
    names = [f"cell {(7 * s) % 16:02d}" for s in range(16)]
    for column in ("state", "next_state"):
        frame[column] = [names[s] for s in frame[column]]
    read = malfl.read_log(frame, game=game, states=names)
    assert_same_episodes(read.episodes, log.episodes)
    assert read.states == tuple(names)
    with pytest.raises(
        ValueError,
        match="states must give the 16 labels in the order of their numbers in game, got none",
    ):
        malfl.read_log(frame, game=game)
    with pytest.raises(ValueError, match=r"is 'cell \d\d' in row \d+, which is none of the states"):
        malfl.read_log(frame, game=game, states=[*names[:-1], "elsewhere"])


def test_where_an_episode_was_left():
    """By a next state, by a row without actions, by the rules; else the last step is left out."""
    game, log = played()
    frame = table(log)
    by_rules = malfl.read_log(frame.drop(columns="next_state"), game=game)  # they are deterministic
    assert_same_episodes(by_rules.episodes, log.episodes)

    last = frame.groupby(["iteration", "episode"]).tail(1)
    more = last.assign(step=last.step + 1, state=last.next_state, action_0=None, action_1=None)
    both = pd.concat([frame, more]).sort_values(["iteration", "episode", "step"], kind="stable")
    both = both.drop(columns="next_state")
    assert_same_episodes(malfl.read_log(both, game=game).episodes, log.episodes)

    shorter = malfl.read_log(frame.drop(columns="next_state"), gamma=0.9)
    assert shorter.notes[0].startswith("The last step of 15 of 15 episodes is left out")
    for mine, theirs in zip(shorter.episodes, log.episodes, strict=True):
        for one, other in zip(mine, theirs, strict=True):
            assert one.states.tolist() == other.states[:-1].tolist()
            assert one.actions.tolist() == other.actions[:-1].tolist()


def test_rules_are_estimated_and_ends_found():
    read = malfl.read_log(small(), gamma=1.0 - 1e-3, smoothing=0)
    assert read.estimated_rules
    assert read.seen_by(None).estimated_rules
    rules = read.dynamics
    assert rules.ends.tolist() == [False, False, True]
    np.testing.assert_allclose(
        rules.transitions.toarray().reshape(3, 2, 3),
        [[[1, 0, 0], [0, 2 / 3, 1 / 3]], [[1, 0, 0], [1 / 3] * 3], [[0, 0, 0]] * 2],
    )
    assert rules.start.tolist() == [1, 0, 0]
    assert read.notes[-1].startswith("1 of 4 pairs of state and joint action were never tried")
    usual = malfl.read_log(small(), gamma=0.9, smoothing=2.0).dynamics.transitions.toarray()
    shares = np.array([1, 2, 1]) / 4  # of all moves from state 0
    np.testing.assert_allclose(usual[0], (np.array([1, 0, 0]) + 2 * shares) / 3)
    np.testing.assert_allclose(usual[3], [1, 0, 0])


def test_an_end_in_a_state_where_something_is_done_is_a_state_of_its_own():
    read = malfl.read_log(small(next_state=[1, 0, 1, 0, 1]), gamma=0.9)
    assert read.dynamics.n_states == 3
    assert read.dynamics.ends.tolist() == [False, False, True]
    assert read.episodes[0][0].states.tolist() == [0, 1, 0, 2]
    assert read.episodes[1][0].states.tolist() == [0, 0, 1]
    rooms = np.array(["attic", "bath"])
    named = small(state=rooms[[0, 1, 0, 0, 0]], next_state=rooms[[1, 0, 1, 0, 1]])
    assert malfl.read_log(named, gamma=0.9).states == ("attic", "bath", "end in bath")


def test_an_end_that_nobody_names_is_a_state_of_its_own():
    read = malfl.read_log(small(next_state=None), gamma=0.9)
    assert read.dynamics.ends.tolist() == [False, False, True]
    assert read.episodes[0][0].states.tolist() == [0, 1, 0, 2]
    assert read.episodes[1][0].states.tolist() == [0, 0]  # a step is left out
    rooms = np.array(["attic", "bath"])[[0, 1, 0, 0, 0]]
    with pytest.warns(
        DoubtfulLogWarning, match="'bath' comes only once among the states, in row 1"
    ):
        named = malfl.read_log(small(state=rooms, next_state=None), gamma=0.9)
    assert named.states == ("attic", "bath", "end")


def turns():
    """A row for each step of two agents who take turns; who is not on turn has a filler."""
    rng = np.random.default_rng(0)
    rows = []
    for h in range(2):
        for k in range(30):
            state = int(rng.integers(0, 4))
            for t in range(6):
                own, mover = rng.integers(0, 2, size=2), state % 2
                after = (state + 1 + own[mover]) % 4
                own[1 - mover] = rng.integers(0, 2)  # the filler means nothing
                rows.append((h, k, t, state, *own, mover == 0, mover == 1, after))
                state = after
    names = [
        "iteration",
        "episode",
        "step",
        "state",
        "action_0",
        "action_1",
        "acted_0",
        "acted_1",
        "next_state",
    ]
    return pd.DataFrame(rows, columns=names)


def test_turns_with_fillers_are_as_without():
    frame = turns()
    read = malfl.read_log(frame, gamma=0.9, smoothing=0)
    empty = frame.assign(
        action_0=frame.action_0.where(frame.acted_0), action_1=frame.action_1.where(frame.acted_1)
    ).drop(columns=["acted_0", "acted_1"])
    assert_same_episodes(read.episodes, malfl.read_log(empty, gamma=0.9).episodes)
    assert read.dynamics.legal[0].tolist() == [[True, True], [True, False]] * 2
    assert read.dynamics.legal[1].tolist() == [[True, False], [True, True]] * 2
    rules = malfl.Dynamics(
        actions=(2, 2), gamma=0.9, start=0, legal=read.dynamics.legal,
        transitions=[[(s + 1 + (a // 2 if s % 2 == 0 else a % 2)) % 4 for a in range(4)]
                     for s in range(4)],
    )  # fmt: skip
    assert_same_episodes(malfl.read_log(frame, game=rules).episodes, read.episodes)
    np.testing.assert_array_equal(read.dynamics.transitions.toarray(), rules.transitions.toarray())


def test_iterations_by_a_window():
    game, log = played()
    frame = table(log).drop(columns="iteration")
    frame["episode"] = np.repeat(np.arange(15), 9)
    read = malfl.read_log(frame, game=game, window=5)
    assert_same_episodes(read.episodes, log.episodes)
    read = malfl.read_log(frame, game=game, window=4)
    assert [len(each) for each in read.episodes] == [4, 4, 4, 3]


def test_one_long_episode_is_cut_by_a_window_of_steps():
    game, log = played(1, iterations=1, episodes=1, steps=25)
    frame = table(log)[["state", "action_0", "next_state"]]
    read = malfl.read_log(frame, game=game, window=10)
    ((states, actions),) = log.episodes[0]
    parts = [episodes[0] for episodes in read.episodes]
    assert [len(episodes) for episodes in read.episodes] == [1, 1, 1]
    assert [part.states.tolist() for part in parts] == [
        states[:11].tolist(), states[10:21].tolist(), states[20:].tolist()
    ]  # fmt: skip
    assert np.concatenate([part.actions for part in parts]).tolist() == actions.tolist()


def test_an_episode_that_goes_on_in_the_next_iteration_is_cut():
    game, log = played(1, iterations=1, episodes=1, steps=6)
    frame = table(log).assign(iteration=[0, 0, 0, 0, 1, 1]).drop(columns="next_state")
    for frame_ in (frame, frame.assign(episode=7)):
        read = malfl.read_log(frame_, game=game)
        ((states, _),) = log.episodes[0]
        assert read.episodes[0][0].states.tolist() == states[:5].tolist()
        assert read.episodes[1][0].states.tolist() == states[4:].tolist()


def test_steps_may_be_counted_from_1_and_left_out():
    game, log = played()
    frame = table(log)
    for changed in (
        frame.assign(step=frame.step + 1),
        frame.assign(iteration=frame.iteration + 5),
        frame.drop(columns="step"),
        frame.drop(columns="episode"),
        frame.rename(columns={"state": "cell", "action_0": "a", "action_1": "b"}),
    ):
        names = {"state": "cell", "action": ("a", "b")} if "cell" in changed else {}
        read = malfl.read_log(changed, game=game, **names)
        assert_same_episodes(read.episodes, log.episodes)


WRONG = {
    "no such column": ({"state": None}, {}, "state must be a column of source, got 'state'; there "
                       "are iteration, episode, step, action, next_state, ended"),
    "no actions": ({"action": None}, {}, "source must have a column 'action', or 'action_0'"),
    "one asked for": ({}, {"step": "time"}, "step must be a column of source, got 'time'"),
    "twice": ({}, {"step": "episode"}, "column 'episode' of source is to be used twice"),
    "no iteration": ({"iteration": None}, {}, "window must be given"),
    "both": ({}, {"window": 2}, "window must be left out, as column"),
    "no discount": ({}, {"gamma": None}, "gamma, the agents' discount factor, must be given"),
    "infinite": ({"ended": None}, {"gamma": 1.0}, "unless every episode ends"),
    "NaN": ({"state": [0, 1, np.nan, 0, 0]}, {}, "column 'state' is empty in row 2"),
    "fraction": ({"state": [0, 1, 0.5, 0, 0]}, {}, "column 'state' is 0.5 in row 2"),
    "negative": ({"action": [1, 0, 1, -1, 1]}, {}, "column 'action' is -1 in row 3"),
    "infinity": ({"state": [0, 1, np.inf, 0, 0]}, {}, "column 'state' is inf in row 2"),
    "dates": ({"state": pd.to_datetime([1, 2, 3, 4, 5])}, {}, "column 'state' must hold whole"),
    "no action, and a next state": ({"action": [1, 0, None, 0, 1]}, {},
                                    "no agent acts in row 2, but there is a next state"),
    "no action": ({"action": [None, 0, 1, 0, 1]}, {},
                  "acts in state 0 in row 2 and has no action in row 0"),
    "gap": ({"step": [0, 2, 3, 0, 1]}, {}, "column 'step' is 2 in row 1; steps are missing"),
    "two rows": ({"step": [0, 1, 1, 0, 1]}, {}, "column 'step' is 1 in row 2; two rows are of one"),
    "back": ({"step": [0, 1, 0, 0, 1]}, {}, "in row 2; rows are out of order: before it was 1"),
    "late": ({"step": [2, 3, 4, 0, 1]}, {}, "column 'step' begins with 2 in row 0"),
    "a late one": ({"step": [0, 1, 2, 1, 2]}, {}, "in row 3; an episode must begin with step 0"),
    "iterations back": ({"iteration": [1, 1, 1, 0, 0]}, {}, "column 'iteration' is 0 in row 3"),
    "iterations lost": ({"iteration": [0, 0, 0, 2, 2]}, {}, "in row 3; iterations are missing"),
    "overlap": ({"episode": [0, 1, 0, 0, 0], "step": [0] * 4 + [1], "ended": None}, {},
                "an episode that was left before goes on in row 2"),
    "after its end": ({"ended": [True, False, False, False, False]}, {},
                      "the episode goes on after its end in row 1"),
    "other next": ({"next_state": [1, 1, 2, 0, 1]}, {},
                   "column 'next_state' is 1 in row 1, but column 'state' is 0 in the next row"),
    "ended": ({"ended": [0, 0, 2, 0, 0]}, {}, "column 'ended' is 2 in row 2; it must be true or"),
    "ended, empty": ({"ended": [0, 0, None, 0, 0]}, {}, "column 'ended' is empty in row 2"),
    "acted": ({"acted": [True] * 5, "action": [1, 0, None, 0, 1]}, {},
              "column 'action' is empty in row 2, where 'acted' says that agent 0 acted"),
    "labels twice": ({}, {"states": ["a", "a", "b"]}, "states must name each once, got 'a' twice"),
    "few labels": ({}, {"states": ["a", "b"]}, "in row 2; states are numbered 0..1"),
    "numbers for labels": ({}, {"states": [0, 1, 2]}, r"states\[0\] must be a text"),
    "actions of two": ({}, {"actions": [None, None]}, "actions must hold one array for each of 1"),
    "smoothing": ({}, {"smoothing": -1}, "smoothing must be 0 or more"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(case, in_batches):
    changed, options, says = WRONG[case]
    with pytest.raises((ValueError, TypeError), match=says):
        malfl.read_log(small(**changed), **{"gamma": 0.9} | options)


def rules(**changed):
    given_ = {
        "actions": (2,), "transitions": [[0, 1], [0, 1], [2, 2]], "start": 0, "gamma": 0.9,
        "ends": [2],
    }  # fmt: skip
    return malfl.Dynamics(**given_ | changed)


WRONG_BY_RULES = {
    "move": (rules(), {}, "joint action 1 led from state 0 to state 2 in row 2, which the rules"),
    "end": (rules(ends=[1], transitions=[[0, 2], [0, 1], [0, 2]]), {},
            "an agent acts in row 1, in state 1, but an episode of game ends there"),
    "no end": (rules(ends=[]), {}, "that begins in row 0 ended in state 2, but no episode of game"),
    "states": (rules(transitions=[[0, 1], [1, 1]], ends=[1]), {}, "state 2 in row 3|is none of"),
    "actions": (rules(actions=(1,), transitions=[[0], [0], [0]]), {},
                "agent 0 takes action 1 in row 0; in game it has actions 0..0"),
    "legal": (rules(legal=[[[True, False], [True, True], [True, True]]]), {},
              "agent 0 takes action 1 in row 0, which is not legal in state 0"),
    "idle": (rules(), {"action": [None, 0, 1, 0, 1]},
             "agent 0 has no action in row 0, where it may choose among 2 in state 0"),
    "agents": (rules(actions=(2, 1)), {}, "action must name a column for each of 2 agents"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_BY_RULES)
def test_what_the_rules_forbid_is_named(case, in_batches):
    game, changed, says = WRONG_BY_RULES[case]
    with pytest.raises(ValueError, match=says):
        malfl.read_log(small(**changed), game=game)


def test_gamma_is_the_games():
    game, log = played()
    with pytest.raises(ValueError, match="gamma must be left out where game is given, got "):
        malfl.read_log(table(log), game=game, gamma=0.9)


def test_other_sources_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("state,action\n")
    with pytest.raises(ValueError, match=r"must be a file .csv, .parquet.*, or a data frame"):
        malfl.read_log(tmp_path / "a.txt", gamma=0.9)
    with pytest.raises(FileNotFoundError, match="source must be a file"):
        malfl.read_log(tmp_path / "b.csv", gamma=0.9)
    for kind, text in (("csv", ""), ("parquet", ""), ("parquet", "PAR1"), ("arrow", "nothing")):
        path = tmp_path / f"c.{kind}"
        path.write_text(text)
        with pytest.raises(ValueError, match=rf"must be a whole .{kind} file, 'c.{kind}' is not"):
            malfl.read_log(path, gamma=0.9)
    (tmp_path / "d.csv").write_text("iteration,state,action\n")
    with pytest.raises(ValueError, match=r"'d\.csv' has no rows"):
        malfl.read_log(tmp_path / "d.csv", gamma=0.9)
    for nothing in (3, None, [[0, 1]], np.zeros((2, 2)), {"state": 1}, {"state": [1], "a": [1, 2]}):
        with pytest.raises(TypeError, match="source must be a table"):
            malfl.read_log(nothing, gamma=0.9)


def test_a_file_cut_short_is_refused(tmp_path):
    _, log = played()
    whole = tmp_path / "whole.parquet"
    pyarrow.parquet.write_table(pa.table(table(log)), whole)
    content = whole.read_bytes()
    for kept in (len(content) // 2, len(content) - 5):
        part = tmp_path / "part.parquet"
        part.write_bytes(content[:kept])
        with pytest.raises(ValueError, match=r"must be a whole .parquet file"):
            malfl.read_log(part, gamma=0.9)


@pytest.mark.filterwarnings("ignore::malfl.data.DoubtfulLogWarning")
@pytest.mark.parametrize("kind", ["csv", "parquet", "arrow"])
def test_a_damaged_file_is_a_log_or_refused(kind, tmp_path):
    """Whatever bytes are in it; Arrow's own checks find what points outside of the file."""
    rng, number = np.random.default_rng(0), 60
    whole = pd.DataFrame({
        "iteration": np.repeat([0, 1, 2], number // 3), "episode": np.arange(number) // 5,
        "step": np.arange(number) % 5, "state": rng.integers(3, size=number),
        "action": rng.choice(["left", "right"], size=number),
    })  # fmt: skip
    path, said = tmp_path / f"a.{kind}", []
    save_as(whole, path)
    content = path.read_bytes()
    for _ in range(150):
        damaged = bytearray(content)
        for at in rng.integers(len(content), size=rng.integers(1, 4)):
            damaged[at : at + rng.integers(9)] = rng.bytes(rng.integers(9))
        path.write_bytes(damaged)
        try:
            malfl.read_log(path, gamma=0.9)
        except (ValueError, TypeError, MemoryError) as error:
            said.append(str(error))
    assert len(said) > 100
    for text in said:
        assert any(name in text for name in (path.name, "column", "row", "a table of"))


def test_an_empty_label_is_none(tmp_path):
    """An empty cell is no label of its own."""
    path = tmp_path / "a.csv"
    path.write_text("state,action,next_state\nd,left,e\ne,right,d\nd,,e\ne,left,d\n")
    with pytest.raises(ValueError, match=r"acts in state 'd' in row 0 and has no action in row 2"):
        malfl.read_log(path, gamma=0.9, window=1)
    path.write_text("state,action\nd,left\n,right\nd,left\n")
    with pytest.raises(ValueError, match="column 'state' is empty in row 1"):
        malfl.read_log(path, gamma=0.9, window=1)


def test_another_label_than_that_of_the_next_row_is_shown():
    rows = {"state": ["mid", "mdi"], "action": ["l", "r"], "next_state": ["mid", "far"]}
    with pytest.raises(
        ValueError, match=r"'next_state' is 'mid' in row 0, but column 'state' is 'mdi'.*episode="
    ):
        malfl.read_log(rows, gamma=0.9, window=1)


def test_one_step_that_leads_nowhere_is_refused():
    with pytest.raises(ValueError, match="nothing says where any step led; a column 'next_state'"):
        malfl.read_log({"state": [0], "action": [0]}, gamma=0.9, window=1)


@st.composite
def ragged(draw):
    """Episodes of any lengths, by iteration, as lists of states and of actions."""
    state, action = st.integers(0, 3), st.integers(0, 1)
    episode = st.lists(st.tuples(state, action), min_size=1, max_size=4)
    iterations = draw(st.lists(st.lists(episode, min_size=1, max_size=3), min_size=1, max_size=3))
    return [[(steps, draw(state), draw(st.booleans())) for steps in each] for each in iterations]


@settings(deadline=None, max_examples=60)
@given(log=ragged(), rows=st.integers(1, 5), dense=st.booleans())
def test_any_episodes_are_read_as_by_the_oracle(log, rows, dense):
    flat = [
        (h, k, t, s, a, (*(one for one, _ in steps), last)[t + 1], over and t + 1 == len(steps))
        for h, episodes in enumerate(log)
        for k, (steps, last, over) in enumerate(episodes)
        for t, (s, a) in enumerate(steps)
    ]
    names = ["iteration", "episode", "step", "state", "action", "next_state", "ended"]
    frame = pd.DataFrame(flat, columns=names)
    if not dense:
        frame = frame.drop(columns=["step"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "BATCH_ROWS", rows)
        read = malfl.read_log(frame, gamma=0.9)
    expected, ends = naive.episodes_of_rows(flat)
    assert [[(e.states.tolist(), e.actions.tolist()) for e in each] for each in read.episodes] == (
        expected
    )
    assert np.flatnonzero(read.dynamics.ends).tolist() == ends


def test_a_log_goes_to_a_file_and_back(tmp_path):
    game, log = played()
    read = malfl.read_log(table(log), gamma=0.9)
    read.save(tmp_path / "log.npz")
    again = malfl.PlayLog.load(tmp_path / "log.npz")
    assert_same_episodes(again.episodes, read.episodes)
    assert again.notes == read.notes
    assert again.estimated_rules
    view = again.seen_by(None)
    view.save(tmp_path / "view.npz")
    assert malfl.View.load(tmp_path / "view.npz").estimated_rules
    assert game.n_states == gridworlds.ma_lfl(size=2).n_states


def test_what_a_log_says_of_itself():
    _, log = played()
    read = malfl.read_log(table(log), gamma=0.9)
    assert repr(read) == "<PlayLog: 15 episodes of 135 steps in 3 iterations>"
    assert "16 states, actions (5, 5), rules estimated" in read.summary()
    assert read.notes[-1] in read.summary()


def test_as_many_actions_as_a_byte_holds():
    actions = np.arange(256)
    rows = {"state": 0 * actions, "action": actions, "next_state": 0 * actions}
    read = malfl.read_log(rows, gamma=0.9, window=200)
    assert np.concatenate([each.moves()[1] for each in read.episodes]).tolist() == actions.tolist()


def test_names_are_as_many_as_what_they_name():
    game, log = played()
    read = malfl.read_log(table(log), game=game)
    for wrong in ({"states": ("a",)}, {"actions": (("a",), ("b",))}):
        with pytest.raises(ValueError, match=r"must be \d+ names, got 1"):
            malfl.PlayLog(dynamics=read.dynamics, episodes=read.episodes, **wrong)


def test_an_iteration_of_which_no_step_is_left_at_the_end_is_none():
    log = malfl.read_log({"state": [0, 1, 0], "action": [1, 0, 1]}, gamma=0.9, window=1)
    assert log.iterations == 2
    assert [played.steps for played in log.episodes] == [1, 1]
    assert "The last step of 1 of 3 episodes is left out" in log.notes[0]
