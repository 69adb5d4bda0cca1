"""The API reference names aliases of types as the code does.

Python knows an alias only by what it stands for, which for an array is a line of
brackets, and Sphinx resolves aliases of annotations that are strings; ours are not.
"""

from functools import cache
from typing import Literal

import numpy.typing as npt
import sphinx.ext.autodoc
import sphinx.util.inspect
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.typing import stringify_annotation

Mode = Literal["fully-qualified-except-typing", "fully-qualified", "smart"]


@cache
def aliases() -> dict[str, str]:
    """What Sphinx writes for an alias, and the alias."""
    # Here, so that a build that reads no page of the reference does without malfl.
    from malfl.checks import FloatArray, IntArray, WordArray
    from malfl.control.policy import Floats

    names = {
        "~malfl.checks.FloatArray": FloatArray,
        "~malfl.checks.IntArray": IntArray,
        "~malfl.checks.WordArray": WordArray,
        "~malfl.control.policy.Floats": Floats,
        "~numpy.typing.ArrayLike": npt.ArrayLike,
    }
    return {stringify_annotation(one, "smart"): name for name, one in names.items()}


def readable(
    annotation: object, mode: Mode = "fully-qualified-except-typing"
) -> str:
    """What Sphinx writes for an annotation, aliases put back."""
    text = stringify_annotation(annotation, mode)
    for written, name in aliases().items():
        text = text.replace(written, name)
    return text


def as_data(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.Element
) -> nodes.Element | None:
    """Find an alias, where Sphinx looks for classes only."""
    if node["refdomain"] != "py" or node["reftype"] != "class":
        return None
    return env.get_domain("py").resolve_xref(
        env, node["refdoc"], app.builder, "data", node["reftarget"], node, text
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("missing-reference", as_data)
    for module in (sphinx.ext.autodoc, sphinx.util.inspect):
        module.stringify_annotation = readable  # type: ignore[attr-defined]
    return {"parallel_read_safe": True}
