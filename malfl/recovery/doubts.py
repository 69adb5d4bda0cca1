"""What speaks against a reward that its own fit calls sound."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

import numpy as np

from malfl.learners.soft_value_iteration import SoftValueIteration
from malfl.play.view import View
from malfl.recovery.alone import AsIfAlone
from malfl.recovery.auto import Auto
from malfl.recovery.by_prefix import innermost
from malfl.recovery.classes import entries
from malfl.recovery.estimator import Estimator
from malfl.recovery.likeliest import brief
from malfl.recovery.logit import AffineLogits, LogitFit, evidence_of_logits
from malfl.recovery.moves import memory, surprise
from malfl.recovery.path import PathLikelihood
from malfl.recovery.patterns import PatternedSlopes, Patterns
from malfl.recovery.replay import Replay
from malfl.recovery.reward import (
    REWARD_CLASSES,
    NothingToLearnError,
    Promising,
    RecoveredReward,
)
from malfl.recovery.rules import WithEstimatedRules
from malfl.recovery.shown import MOST_ENTRIES, likeness, shown_directions
from malfl.recovery.structural import Structural
from malfl.recovery.verdict import NEARLY

MOST_SLOPES = 150_000  # of a model that is tried, of logits by numbers; a fit takes half a second
MOST_SURPRISE = 5e-3  # nats a move that are not reported; one misread state in 1000 makes as much


def with_doubts(
    found: RecoveredReward, view: View, of: int, by: Estimator, rng: np.random.Generator
) -> RecoveredReward:
    """The reward that ``by`` found in a view, with what speaks against it if it seems sound.

    Recorded moves are compared with the rules, and the model with an agent that does not learn,
    whose policy stays as it is. Other models are tried where that takes little time: the structural
    estimator with exact values, for each class of rewards; soft value iteration, if no step size
    was found or given; and, for a reward of actions and a given step size, a reward of the state
    with the likeliest step size.
    """
    fit = found.diagnostics
    if found.verdict != "sound" or not isinstance(fit, Promising):
        return found
    doubts = list(_of_moves(view, by))
    by, view, of = innermost(by, view, of)
    least = fit.evidence.log_likelihood - NEARLY
    if _of_one_policy(found, view, of) > least:
        doubts.append(
            "that the agent does not learn is about as likely: its policies hardly change after "
            "the first improvement that was seen"
        )
    rivals = tuple(_rivals(found, view, of, by, rng, least))
    return replace(found, rivals=found.rivals + rivals, doubts=tuple(doubts))


def _of_moves(view: View, by: Estimator) -> Iterator[str]:
    """What moves say of the rules, be they known or estimated."""
    if isinstance(by, AsIfAlone):
        return
    estimated = view.estimated_rules or isinstance(by, WithEstimatedRules)
    off = memory(view) if estimated else surprise(view)
    if off > MOST_SURPRISE:
        how = "depend on earlier states too" if estimated else "are not those of the rules"
        yield (
            f"moves {how}, by {off:.2g} nats a move: perhaps states were misread (see "
            "malfl.most_likely_states), steps are missing, or the game is another one"
        )


def _rivals(
    found: RecoveredReward,
    view: View,
    of: int,
    by: Estimator,
    rng: np.random.Generator,
    least: float,
) -> Iterator[tuple[str, float]]:
    """Rewards by other models that are likely enough, and how far they correlate with this one."""
    mine = np.nan_to_num(found.values), found.reward_class
    for rival in _others(found, view, of, by):
        if brief(rival) in dict(found.compared):
            continue
        try:
            other = rival.prepare(view, of, deepcopy(rng)).reward(view.iterations - 1)
        except NothingToLearnError:
            continue
        assert isinstance(other.diagnostics, Promising)
        if other.diagnostics.evidence.log_likelihood > least:
            theirs = np.nan_to_num(other.values), other.reward_class
            yield brief(rival), likeness(mine, theirs, view.dynamics, of)


def _others(found: RecoveredReward, view: View, of: int, by: Estimator) -> Iterator[Estimator]:
    """Those that `with_doubts` names."""
    own, joint = view.dynamics.actions[of], view.dynamics.n_joint_actions
    policies, fit = getattr(by, "policies", Structural().policies), found.diagnostics
    for one in REWARD_CLASSES[: 2 if own == joint else 3]:
        numbers = max(entries(view.dynamics, of, one), found.values.size)
        if numbers <= min(MOST_SLOPES / _slopes(view, of), MOST_ENTRIES):
            yield Structural(None, "exact", one, policies)
            if not isinstance(fit, LogitFit) or fit.beta is None:
                yield PathLikelihood((SoftValueIteration(),), None, one, policies)
    same = found.likeliest or by
    given = isinstance(by, Auto | Replay | Structural) and by.beta is not None
    few = found.reward_class != "state" and found.values.size <= MOST_ENTRIES
    if given and few and isinstance(same, Replay | Structural):
        yield replace(same, beta=None, reward_class="state")


def _slopes(view: View, of: int) -> int:
    """How many logits depend on each number of a reward."""
    return (view.iterations - 1) * view.dynamics.n_states * view.dynamics.actions[of]


def _of_one_policy(found: RecoveredReward, view: View, of: int) -> float:
    """The evidence for a policy that stays as it is.

    Minus infinity where such a policy would not speak against the reward: if the agent's actions
    do not matter for where play goes, any policy shows a reward of them. The policy's logits have
    the prior of a reward.
    """
    states, own = view.dynamics.n_states, view.dynamics.actions[of]
    many = _slopes(view, of) * states * own > MOST_SLOPES
    if (many and found.reward_class == "state") or states * own > MOST_ENTRIES:
        return -np.inf
    if shown_directions(view.dynamics, of, "state").shape[1] == 0:
        return -np.inf
    legal, none = view.dynamics.legal[of], np.zeros((view.iterations - 1, states, own))
    each = np.arange(states * own)
    of_states = Patterns.where(np.append(each[::own], each.size), each, legal)
    values = np.tile(np.tile(np.eye(own), (states, 1))[legal.ravel()].ravel(), (len(none), 1))
    slopes = PatternedSlopes(of_states, values, legal, each.size)
    counts = view.own_counts(of)
    known = (counts[:-1].sum(axis=(1, 2)) > 0)[:, None, None] & legal
    return evidence_of_logits(AffineLogits(slopes, none, known, none), counts[1:], 1.0)
