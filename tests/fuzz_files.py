"""What is read from a file is a value or a ValueError that names the file; found by atheris.

Run as ``python tests/fuzz_files.py FOLDER [libFuzzer's options]``; FOLDER is written to. A first
argument of libFuzzer such as ``-max_total_time=600`` says for how long.
"""

import sys
import warnings
import zipfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["malfl.values", "malfl.checks"]):
    from malfl import checks, values  # noqa: F401

import numpy as np
import pandas as pd

import malfl
from malfl.games import gridworlds

FOLDER = Path(sys.argv.pop(1))
DAMAGED = FOLDER / "damaged.npz"


def examples() -> list[dict[str, bytes]]:
    """Members of the files of some values."""
    game = gridworlds.ma_lfl(size=2)
    log = malfl.learn(game, iterations=2, episodes=50, steps=50, seed=0, record=True)
    view = log.seen_by(1)
    reward = malfl.recover(view, of=0, by="least squares", unvisited="omit")
    table = pd.DataFrame({"a": [1.0, np.nan], "b": ["x", None], "c": [1, 2]})
    found = []
    for k, value in enumerate([game, log, view, reward, (table, {"a": [1, None, True]})]):
        file = FOLDER / f"{k}.npz"
        values.write(value, file)
        with zipfile.ZipFile(file) as archive:
            found.append({name: archive.read(name) for name in archive.namelist()})
    return found


EXAMPLES = examples()


def one_input(data: bytes) -> None:
    choice = atheris.FuzzedDataProvider(data)
    members = dict(EXAMPLES[choice.ConsumeIntInRange(0, len(EXAMPLES) - 1)])
    for _ in range(choice.ConsumeIntInRange(1, 3)):
        name = choice.PickValueInList(list(members))
        content = members[name]
        # Most of what matters is text at the beginning: the tree, or an array's header.
        at = choice.ConsumeIntInRange(0, min(len(content), 4096))
        until = min(len(content), at + choice.ConsumeIntInRange(0, 16))
        members[name] = content[:at] + choice.ConsumeBytes(16) + content[until:]
    with zipfile.ZipFile(DAMAGED, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    try:
        values.read(DAMAGED)
    except (ValueError, MemoryError) as error:
        if str(DAMAGED) not in str(error):
            raise


if __name__ == "__main__":
    warnings.simplefilter("error")
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
