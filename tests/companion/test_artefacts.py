import json
import re

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from malfl.companion.artefacts import Results, processor, read_table


def test_tables_keep_all_digits(tmp_path):
    table = pd.DataFrame({"x": [1 / 3, 1e-17], "name": ["a", "b"]})
    assert Results(tmp_path / "new" / "folder").save_table("numbers", table) is table
    back = pd.read_csv(tmp_path / "new" / "folder" / "numbers.csv")
    pd.testing.assert_frame_equal(back, table, check_exact=True)


def test_figures_are_the_same_files_every_time(tmp_path):
    contents = []
    for folder in ("one", "two"):
        figure, axes = plt.subplots()
        axes.plot([1, 2], label="line")
        axes.legend()
        Results(tmp_path / folder).save_figure("plot", figure)
        contents.append([(tmp_path / folder / f"plot.{k}").read_bytes() for k in ("png", "svg")])
    assert contents[0] == contents[1]
    assert not plt.get_fignums()


def test_a_file_that_fails_leaves_the_old_one_and_no_litter(tmp_path, monkeypatch):
    results = Results(tmp_path)
    results.save_table("t", pd.DataFrame({"x": [1]}))

    def half(self, path, **_):
        path.write_text("x\n2")
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", half)
    with pytest.raises(OSError, match="disk full"):
        results.save_table("t", pd.DataFrame({"x": [2]}))
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]
    assert (tmp_path / "t.csv").read_text() == "x\n1\n"


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file")
    complaint = r"results must be a folder that can be written, '.*taken"
    for folder in ("taken", "taken/below"):
        with pytest.raises(ValueError, match=complaint):
            Results(tmp_path / folder)


def test_json_appears_whole_with_a_line_end(tmp_path):
    Results(tmp_path).save_json("summary", {"ratio": 1 / 3, "missed": []})
    text = (tmp_path / "summary.json").read_text()
    assert json.loads(text) == {"ratio": 1 / 3, "missed": []}
    assert text.endswith("}\n")
    assert [file.name for file in tmp_path.iterdir()] == ["summary.json"]


def test_the_processor_has_a_name_and_cores():
    assert re.fullmatch(r".+, \d+ cores", processor())


TYPES = {"item": "text", "ours": "number", "seeds": "count"}


class TestReadTable:
    def read(self, tmp_path, text):
        (tmp_path / "card.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_table(tmp_path / "card.csv", TYPES)

    def test_types_are_kept_and_gaps_in_numbers_allowed(self, tmp_path):
        table = self.read(tmp_path, "seeds,item,note,ours\n3,a,x,0.5\n,b,,\n")
        assert list(table.columns) == list(TYPES)
        assert list(table["seeds"].isna()) == [False, True]
        assert table["seeds"].dtype == "Int64"
        assert table["seeds"][0] == 3
        assert table["ours"][0] == 0.5

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("", "card.csv cannot be read"),
            (b"\xff\xfe\x00item", "card.csv cannot be read"),
            ('item,ours,seeds\n"a', "card.csv cannot be read"),
            ("item,seeds\na,3\n", "must have a column 'ours', got item, seeds"),
            ("item,ours,seeds\na,1,3\nb,many,3\n", "numbers in column ours, got 'many' in row 1"),
            ("item,ours,seeds\n,1,3\n", "has no item in row 0"),
        ],
    )
    def test_a_malformed_file_is_named(self, tmp_path, text, complaint):
        with pytest.raises(ValueError, match=f"results file .*{complaint}"):
            self.read(tmp_path, text)

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(ValueError, match=r"results file lost\.csv is missing"):
            read_table(tmp_path / "lost.csv", TYPES)
