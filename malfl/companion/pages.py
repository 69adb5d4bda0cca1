"""What the build adds to the page of an executed chapter, in MyST's Markdown."""

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from malfl.companion.parameters import defaults_of

if TYPE_CHECKING:
    from papermill.models import Parameter


def command(chapter: str, changed: Mapping[str, object]) -> str:
    """The papermill line that runs a chapter with these of its parameters changed."""
    options = "".join(f" -p {name} {shlex.quote(str(value))}" for name, value in changed.items())
    return f"papermill book/{chapter}.ipynb out.ipynb{options}"


def rerun(chapter: str, parameters: "Sequence[Parameter]", provenance: Mapping[str, Any]) -> str:
    """How to run a chapter again: parameters, the line to type, downloads, and how it was made.

    Parameters
    ----------
    chapter
        Its name, without extension.
    parameters
        That it declares.
    provenance
        As the build writes it into the executed notebook: ``profile``, ``parameters``,
        ``versions``, ``processor``, ``seconds`` and ``results`` by file name.
    """
    defaults, used = defaults_of(parameters), provenance["parameters"]
    changed = {name: value for name, value in used.items() if value != defaults[name]}
    rows = [
        f"| `{one.name}` | {one.inferred_type_name} | `{defaults[one.name]!r}` "
        f"| `{used[one.name]!r}` | {one.help} |"
        for one in parameters
    ]
    names = sorted(name for name in provenance["results"] if name.endswith(".csv"))
    tables = [_download(name, f"results/{name}") for name in names]
    versions = ", ".join(f"{name} {v}" for name, v in provenance["versions"].items())
    return "\n".join(
        [
            "## Rerun this chapter",
            "",
            "| parameter | type | default | here | meaning |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
            "This page is the output of",
            "",
            "```bash",
            command(chapter, changed),
            "```",
            "",
            "Add `-p name value` for other parameters. "
            f"Downloads: {_download('the notebook', f'notebooks/{chapter}.ipynb')}, "
            f"{_download('the same, executed', f'notebooks/{chapter}-executed.ipynb')}"
            + ("; results: " + ", ".join(tables) if tables else "")
            + ".",
            "",
            "````{admonition} How this page was made",
            ":class: dropdown note",
            f"- Profile: {provenance['profile']}",
            f"- Versions: {versions}",
            f"- Processor: {provenance['processor']}",
            f"- Wall-clock: {provenance['seconds']:.1f} s",
            "````",
        ]
    )


def changed_note(changed: Mapping[str, object], profile: str) -> str:
    """What stands at the head of a page that was made with other parameters than its profile's."""
    values = ", ".join(f"`{name} = {value!r}`" for name, value in changed.items())
    return "\n".join(
        [
            "```{warning}",
            f"This page was made with {values}, other than in the profile *{profile}*. "
            "Its results are left out of the [scorecard](scorecard).",
            "```",
        ]
    )


def readme_summary(summary: pd.DataFrame, found: Mapping[str, str]) -> str:
    """How often each verdict was given, and what rewards were recovered, for the README.

    Parameters
    ----------
    summary
        As `malfl.companion.scorecard.summary` returns it.
    found
        Of `malfl.companion.headlines.headlines`.
    """
    counts = list(summary.columns[1:-1])
    lines = [f"| verdict | {' | '.join(counts)} |", "| --- |" + " ---: |" * len(counts)]
    for row in summary.to_dict("records"):
        cells = " | ".join(str(row[name] or "") for name in counts)
        lines.append(f"| {row['verdict']} | {cells} |")
    lines += [
        "",
        "On the paper's grid, correlations of recovered with true rewards are printed as",
        f"{found['printed']}. From the same play, the released program gives {found['released']},",
        f"the method as its theorem states it {found['theorem']}, the library's structural",
        f"estimator {found['structural']} and its replay {found['replay']}.",
        "",
        f"Elsewhere it depends on the game. `malfl.recover` was tried on {found['random_games']}",
        "random games in several regimes, none of which was used to adjust anything. In ordinary",
        f"games its median correlation with the true reward is {found['benign_episodes']} with",
        f"episodes and {found['benign_counts']} from counts; in some regimes, such as few episodes",
        "and rarely visited states, it is lower. Each result says whether it can be relied on: of",
        "all that are called sound, those by wrong models included, a share of",
        f"{found['sound_right']} correlates at .9 or more with the truth, in the part of a reward",
        "that improvements show.",
    ]
    return "\n".join(lines)


def _download(text: str, path: str) -> str:
    return f"{{download}}`{text} <../{path}>`"
