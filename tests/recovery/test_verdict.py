import numpy as np
import pytest

from malfl.recovery import Judgement, Promise
from malfl.recovery.verdict import MOST_ERROR, SOUND, UNDETERMINED, judge

NAMES = tuple(f"state {s}" for s in range(20))


def promised(correlation=0.99, at_least=0.95, weak=()):
    return Promise(correlation, at_least, 19, 17, np.array(weak, dtype=int))


def judged(**changed):
    said = {"converged": True, "promise": promised(), "error": 0.0, "rivals": (), "names": NAMES}
    return judge(**(said | changed))


def test_a_sound_result_needs_no_reasons():
    assert judged() == Judgement("sound", (), ())
    assert judged(promise=promised(at_least=SOUND), error=MOST_ERROR).verdict == "sound"
    assert judged(rivals=(("Replay()", SOUND),)).verdict == "sound"


@pytest.mark.parametrize(
    ("changed", "verdict", "reason"),
    [
        ({"converged": False}, "doubtful", "the fit did not come to rest"),
        ({"promise": None}, "doubtful", "this estimator cannot tell how far its reward may be off"),
        (
            {"promise": promised(at_least=SOUND - 1e-6)}, "doubtful",
            "the correlation with the true reward may be as low as 0.90 (0.99 is to be expected): "
            "17 of 19 directions are determined",
        ),
        (
            {"promise": promised(UNDETERMINED - 0.01, -0.2)}, "undetermined",
            "what was seen says little about the reward: 17 of 19 directions are determined, and a "
            "correlation of 0.49 with the true reward is to be expected",
        ),
        (
            {"sensitive": (("alpha 2", SOUND), ("gamma 0.5 instead of 0.8", 0.42))}, "doubtful",
            "with gamma 0.5 instead of 0.8 the reward correlates with this one at 0.42 only",
        ),
        (
            {"error": 0.04}, "doubtful",
            "the agent does not learn as was assumed: the model leaves errors of 0.2 in the logits "
            "of its policies unexplained",
        ),
        (
            {"doubts": ("moves are not those of the rules",)}, "doubtful",
            "moves are not those of the rules",
        ),
        (
            {"error": np.nan}, "doubtful",
            "too little was seen to tell whether the agent learns as was assumed",
        ),
        (
            {"rivals": (("Replay()", 0.99), ("Structural()", 0.2), ("Auto()", 0.5))}, "doubtful",
            "Structural() is about as likely or likelier, and its reward correlates with this one "
            "at 0.20 only",
        ),
    ],
)  # fmt: skip
def test_what_makes_a_result_doubtful(changed, verdict, reason):
    found = judged(**changed)
    assert found.verdict == verdict
    assert found.reasons == (reason,)
    assert found.lines()[:2] == [f"Verdict: {verdict}", f"- {reason}"]


def test_all_reasons_are_given():
    found = judged(converged=False, promise=promised(0.3, 0.1), error=1.0)
    assert len(found.reasons) == 3
    assert found.verdict == "undetermined"


def test_what_is_hardly_known_is_named_as_far_as_it_can_be_read():
    (advice,) = judged(promise=promised(at_least=0.5, weak=[3, 7])).advice
    assert advice == "observe more episodes, or more improvements; hardly known: state 3, state 7"
    (advice,) = judged(promise=promised(at_least=0.5, weak=range(13))).advice
    assert advice.endswith("state 9 and 3 more")
    (advice,) = judged(promise=promised(at_least=0.5)).advice
    assert advice == "observe more episodes, or more improvements"
    assert judged(error=1.0).lines()[-1] == (
        "- to do: try other models of the learner, or a reward of actions"
    )
