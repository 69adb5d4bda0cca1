"""Still figures of the pages under "Explore", for readers without scripts and for print."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure


def changes(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """Changes of probabilities as foretold (vertical) against those that came, a panel each.

    Parameters
    ----------
    panels
        Title and table with columns ``came`` and ``foretold``.
    """
    figure, grid = plt.subplots(
        1, len(panels), figsize=(3.1 * len(panels), 3.4), squeeze=False, sharex=True, sharey=True
    )
    for axes, (title, table) in zip(grid.flat, panels.items(), strict=True):
        axes.scatter(table["came"], table["foretold"], s=9, alpha=0.6, linewidths=0)
        axes.axline((0, 0), slope=1, color="0.3", linewidth=1, linestyle="--")
        axes.set_aspect("equal")
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("change that came")
    grid[0, 0].set_ylabel("change foretold")
    return figure
