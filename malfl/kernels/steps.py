"""Steps of episodes as kernels read them."""

from typing import NamedTuple

from malfl.checks import IntArray, WordArray


class Steps(NamedTuple):
    """Episodes one after the other, a step packed in one integer ``state * A + joint action``."""

    codes: WordArray  #: (N,)
    ends: IntArray  #: (E + 1,), where each episode begins in ``codes``, and the end of the last
    last: WordArray  #: (E,), the states reached but not acted in


class Learner(NamedTuple):
    """What of a code concerns one agent."""

    states: IntArray  #: (S * A,), the state of each code
    pairs: IntArray  #: (S * A,), its (s, a^i) as ``s * A_i + a^i``
