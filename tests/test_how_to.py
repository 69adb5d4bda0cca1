"""The how-to pages: their programs run, and come to what the pages say."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from typer.testing import CliRunner

import malfl
from malfl.cli import app

PAGES = Path(__file__).parents[1] / "book" / "how-to"
WISHES = {"b3": -1.0, "c2": 0.5, "d1": 1.0, "d4": 2.0}


def blocks(page, kind):
    return re.findall(rf"```{kind}\n(.*?)```", (PAGES / f"{page}.md").read_text(), re.DOTALL)


def outputs(page):
    """What a page says is printed, by caption."""
    return dict(re.findall(
        r"```\{code-block\} text\n:caption: (.*?)\n\n(.*?)```", (PAGES / f"{page}.md").read_text(),
        re.DOTALL,
    ))  # fmt: skip


def assert_printed(shown, printed):
    """Each line that is shown was printed, in that order; numbers may differ a little."""
    lines = iter(printed.splitlines())
    for line in shown.splitlines():
        if line != "...":
            assert any(alike(line, other) for other in lines), line


def alike(shown, printed):
    number = r"(-?\d+(?:\.\d*)?(?:e-?\d+)?)"
    ours, theirs = (re.split(number, line.strip()) for line in (shown, printed))
    if ours[::2] != theirs[::2]:
        return False
    both = [list(map(float, each[1::2])) for each in (ours, theirs)]
    return np.allclose(*both, rtol=0.02, atol=0.01)


def test_other_words_or_numbers_are_not_alike():
    assert alike("found 0.95 of 3", "found 0.951 of 3")
    assert not alike("found 0.95 of 3", "found 0.95 in 3")
    assert not alike("found 0.95 of 3", "found 0.90 of 3")
    with pytest.raises(AssertionError, match="b"):
        assert_printed("a\nb", "b\na")


class TestFromALog:
    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        return tmp_path

    def test_the_program_of_the_mouse_makes_the_log(self, folder):
        (program,) = blocks("from-a-log", r"\{code-block\} python\n:caption: mouse.py\n")
        assert "malfl" not in program
        exec(compile(program, "mouse.py", "exec"), {})
        assert (folder / "mouse.csv").read_bytes() == malfl.data.example_log().read_bytes()

    def test_the_first_rows_are_those_shown(self):
        text = (PAGES / "from-a-log.md").read_text()
        shown = [[cell.strip() for cell in row.split("|")[1:-1]]
                 for row in re.findall(r"^\| .*\|$", text, re.MULTILINE)]  # fmt: skip
        header, _, *rows = shown
        lines = malfl.data.example_log().read_text().splitlines()
        assert [",".join(header), *(",".join(row) for row in rows)] == lines[: 1 + len(rows)]

    def test_the_commands(self, folder):
        (commands,) = blocks("from-a-log", "bash")
        for command in commands.splitlines():
            name, *given = command.split()
            assert name == "malfl"
            run = CliRunner().invoke(app, given)
            assert run.exit_code == 0, run.output
        assert "Verdict: sound" in run.output
        (drawn,) = re.findall(r"`malfl (plot .*?)`", (PAGES / "from-a-log.md").read_text())
        assert CliRunner().invoke(app, drawn.split()).exit_code == 0
        assert {path.name for path in folder.rglob("*.*")} == {
            "mouse.csv", "map.png", "reward.npz", "reward.csv", "reward.png"
        }  # fmt: skip

    def test_the_program_and_what_it_finds(self, folder):
        malfl_log = malfl.data.example_log().read_text()
        (folder / "mouse.csv").write_text(malfl_log)
        (program,) = blocks("from-a-log", "python")
        names = {"malfl": malfl}
        exec(program, names)
        plt.close("all")
        assert len(program.splitlines()) <= 5
        log, reward = names["log"], names["reward"]
        assert reward.verdict == "sound"
        wishes = np.array([WISHES.get(room, 0.0) for room in log.states])
        assert np.corrcoef(reward.values, wishes)[0, 1] > 0.95
        order = names["table"].sort_values("reward").state.tolist()
        assert order[-3:] == ["c2", "d1", "d4"]
        assert order[0] == "b3"
        shown = outputs("from-a-log")
        assert_printed(shown["reward.summary()"], reward.summary())
        assert_printed(shown['table.sort_values("reward")'],
                       names["table"].sort_values("reward").round(2).to_string())  # fmt: skip
        known = malfl.read_log("mouse.csv", gamma=0.9, alpha=0.5)
        scaled = malfl.recover(known.seen_by(None), of=0).values
        np.testing.assert_allclose(scaled - scaled.mean(), wishes - wishes.mean(), atol=0.5)


def test_from_an_environment(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (lake,) = blocks("from-an-environment", r"\{code-block\} python\n:caption: lake.py\n")
    exec(compile(lake, "lake.py", "exec"), {})
    (command,) = blocks("from-an-environment", "bash")
    run = CliRunner().invoke(app, command.split()[1:])
    assert run.exit_code == 0, run.output
    (program,) = blocks("from-an-environment", "python")
    names = {"malfl": malfl}
    exec(program, names)
    shown = outputs("from-an-environment")["What it prints, the first lines and the last"]
    assert_printed(shown, capsys.readouterr().out)
    assert names["reward"].verdict == "sound"
    values = names["reward"].over_states()
    assert values[15] == pytest.approx(1, abs=0.2)
    assert np.abs(values[:15]).max() < 0.1
    assert malfl.compare(names["reward"], names["game"], agent=0).identified > 0.95


@pytest.fixture
def mouse(tmp_path, monkeypatch):
    """A folder to be in, with the log of the mouse."""
    monkeypatch.chdir(tmp_path)
    Path("mouse.csv").write_bytes(malfl.data.example_log().read_bytes())


class TestMyOwnLearner:
    @pytest.mark.usefixtures("mouse")
    def test_what_is_found_if_nothing_is_said(self):
        (program,) = blocks("my-own-learner", "python")
        names = {"malfl": malfl}
        exec(program, names)
        assert names["reward"].verdict == "sound"
        assert_printed(outputs("my-own-learner")["reward.summary()"], names["reward"].summary())
        assert names["reward"].diagnostics.beta == pytest.approx(0.1, abs=0.02)

    def test_what_is_to_be_said_can_be_said(self):
        text = (PAGES / "my-own-learner.md").read_text()
        named = re.findall(r"^\| .* \| `(malfl\..*)` \|$", text, re.MULTILINE)
        assert len(named) == 6
        for by in named:
            eval(by, {"malfl": malfl, "beta": 0.1})

    def test_the_levers(self, capsys):
        (program,) = blocks("my-own-learner", r"\{code-block\} python\n:caption: levers.py\n")
        names = {}
        exec(compile(program, "levers.py", "exec"), names)
        assert names["reward"].verdict == "sound"
        assert_printed(outputs("my-own-learner")["levers.py prints"], capsys.readouterr().out)
        assert np.corrcoef(names["reward"].values.ravel(), names["worth"])[0, 1] > 0.95


class TestWhatToTrust:
    @pytest.mark.usefixtures("mouse")
    def test_ten_trials_are_too_few(self, capsys):
        (program,) = blocks("what-to-trust", "python")
        names = {"malfl": malfl}
        with pytest.warns(malfl.DoubtfulRewardWarning):
            exec(program, names)
        assert names["reward"].verdict == "doubtful"
        assert_printed(outputs("what-to-trust")["What it prints"], capsys.readouterr().out)
        (command,) = blocks("what-to-trust", "bash")
        assert CliRunner().invoke(app, command.split()[1:]).exit_code == 0

    @pytest.mark.usefixtures("mouse")
    def test_what_depends_on_what(self, capsys):
        (program,) = blocks("what-to-trust", r"\{code-block\} python")
        names = {"malfl": malfl}
        exec(program, names)
        assert_printed(outputs("what-to-trust")["checked.summary()"], capsys.readouterr().out)
        assert len(names["checked"].assumptions) == len(names["checked"].correlations) >= 2
