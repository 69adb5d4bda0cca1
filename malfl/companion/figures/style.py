"""One look for all figures."""

import sys
from importlib import import_module

import matplotlib.pyplot as plt
import seaborn as sns

AGENT_COLOURS = sns.color_palette("colorblind")
MAP = "cividis"  #: reads the same with and without colour vision


def set_style() -> None:
    """Set one look for all figures; notebooks then show them as vector graphics."""
    sns.set_theme(style="whitegrid", context="notebook", palette="colorblind")
    plt.rcParams.update(
        {
            "figure.dpi": 110,
            "savefig.dpi": 150,
            "figure.constrained_layout.use": True,
            "svg.hashsalt": "malfl",  # the same file every time
        }
    )
    if "ipykernel" in sys.modules:
        inline = import_module("matplotlib_inline.backend_inline")
        inline.set_matplotlib_formats("svg", metadata={"Date": None})
