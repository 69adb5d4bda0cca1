import matplotlib.pyplot as plt
import pytest

from malfl.companion.figures import set_style


@pytest.fixture(autouse=True)
def _clean():
    set_style()
    yield
    plt.close("all")
