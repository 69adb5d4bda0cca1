"""Signatures in the API reference name the aliases that the code is written with.

Python knows an alias only by what it stands for, which for an array is a line of brackets. Sphinx
resolves aliases by name where annotations are strings; those of malfl are not.
"""

from typing import Any

import numpy.typing as npt
import sphinx.ext.autodoc
import sphinx.util.inspect
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.typing import stringify_annotation

from malfl.checks import FloatArray, IntArray, WordArray

ALIASES = {
    stringify_annotation(alias, mode): name
    for mode in ("smart", "fully-qualified-except-typing")
    for alias, name in (
        (FloatArray, "~malfl.checks.FloatArray"),
        (IntArray, "~malfl.checks.IntArray"),
        (WordArray, "~malfl.checks.WordArray"),
        (npt.ArrayLike, "~numpy.typing.ArrayLike"),
    )
}


def readable(annotation: Any, *args: Any, **kwargs: Any) -> str:
    """What Sphinx writes for an annotation, aliases put back."""
    text = stringify_annotation(annotation, *args, **kwargs)
    for written, name in ALIASES.items():
        text = text.replace(written, name)
    return text


def as_data(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.Element
) -> nodes.Element | None:
    """An alias is no class, which is all that Sphinx looks for in a signature."""
    if node["refdomain"] != "py" or node["reftype"] != "class":
        return None
    return env.get_domain("py").resolve_xref(
        env, node["refdoc"], app.builder, "data", node["reftarget"], node, text
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("missing-reference", as_data)
    # autodoc has no setting for this: its type aliases are those of string annotations.
    for module in (sphinx.ext.autodoc, sphinx.util.inspect):
        module.stringify_annotation = readable  # type: ignore[attr-defined]
    return {"parallel_read_safe": True}
