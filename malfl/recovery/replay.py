"""Logits of improved policies from the learner's own updates, made again along its steps.

Temporal differences are linear, so the values that a learner ends up
with are affine in the reward it learned from, sampling errors and all. Only what it drew and did
not execute stays unseen; how far its values are off for that is known as a variance.
"""

from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from malfl import checks, progress
from malfl.checks import FloatArray
from malfl.games.legal import or_uniform
from malfl.games.markov import Policies
from malfl.games.soft import entropy_bonus
from malfl.kernels.replay import Update, replay_errors
from malfl.kernels.steps import Learner as Codes
from malfl.play.view import View
from malfl.recovery.classes import RewardSpace, Space, check_space, earned_by_code, space_of
from malfl.recovery.estimator import Prepared
from malfl.recovery.likeliest import Likeliest
from malfl.recovery.logit import AffineLogits, glance_at_logits, recover_from_logits
from malfl.recovery.next_policy import exact_next_policy
from malfl.recovery.policies import PolicyFit, Smoothing, check_fit, estimate_policies
from malfl.recovery.replayed_values import passes, values_of
from malfl.recovery.reward import NothingToLearnError, RecoveredReward
from malfl.recovery.shown import promised_directions
from malfl.recovery.step_size import SMALL_ERRORS, likeliest_step_size, settled
from malfl.recovery.structural import empty_logits
from malfl.values import Value, set_fields

OFTEN = 50  # improvements up to which variances are for a reward from all that came before
SEARCH_STEPS = 2_000_000  # by which a step size is found; the first two improvements at least


@dataclass(frozen=True)
class Replay(Value):
    """The structural regression on the learner's own updates, made again, not on exact values.

    Needs recorded episodes of a learner of Algorithm 1.

    Parameters
    ----------
    beta
        The learner's step size, in (0, 1]; if it is not known, the likeliest is looked for.
    executed
        Whether its updates used the action executed next (SARSA). If not, that action was drawn,
        not seen, and its expectation is used.
    reward_class
        What the reward may depend on, as for `malfl.Structural`.
    policies
        How policies are estimated.
    kept
        Whether values go on from those of the policy before. If not, they begin at zero under each
        policy, as in Algorithm 1.
    falling
        How steps fall, in [0, 1]: the n-th update of a value moves it by ``beta * n**-falling`` of
        the way. 0, a constant step, is that of Algorithm 1; 1 with beta 1 takes means. Unless
        values are kept, n begins anew with each policy.

    Raises
    ------
    TypeError, ValueError
        If ``beta`` or ``falling`` is out of range, ``executed`` or ``kept`` neither True nor False,
        or a name is unknown.
    """

    beta: float | None = None
    executed: bool = False
    reward_class: RewardSpace | None = None
    policies: PolicyFit = Smoothing()
    kept: bool = False
    falling: float = 0.0

    needs_steps = True
    needs_improvements = True

    def __post_init__(self) -> None:
        if self.beta is not None:
            set_fields(self, beta=checks.step_size(self.beta))
        checks.boolean(self.executed, "executed")
        checks.boolean(self.kept, "kept")
        set_fields(self, falling=checks.probability(self.falling, "falling"))
        check_space(self.reward_class)
        check_fit(self.policies)

    def prepare(self, view: View, agent: int, rng: np.random.Generator) -> Prepared:
        """See `malfl.recovery.estimator.Estimator`."""
        if self.reward_class is None:
            return Likeliest(lambda one: [replace(self, reward_class=one)], None, view, agent, rng)
        space = space_of(view.dynamics, agent, self.reward_class)
        return _Prepared(self, view, agent, space, estimate_policies(view, self.policies, rng))


class _Prepared:
    """Replays by step size: the known one, else the likeliest for each number of improvements."""

    def __init__(
        self, estimator: Replay, view: View, agent: int, space: Space, policies: Policies
    ) -> None:
        self._estimator, self._view, self._agent, self._space = estimator, view, agent, space
        self._policies = policies
        self._replays: dict[float, Replayed] = {}
        self._found: dict[int, float] = {}

    def reward(self, improvements: int) -> RecoveredReward:
        if self._estimator.beta is not None:
            return self._replayed(self._estimator.beta).reward(improvements)
        return settled(self._replayed(self._likeliest(improvements)).reward(improvements))

    def next_policy(self, reward: RecoveredReward, improvements: int) -> FloatArray:
        try:
            beta = self._estimator.beta or self._likeliest(improvements)
        except NothingToLearnError:  # no step size is likelier than another
            now = [policies[improvements] for policies in self._policies]
            return exact_next_policy(self._view.dynamics, now, self._agent, self._view.unit, reward)
        logits = self._replayed(beta).logits(improvements + 1)
        return np.asarray(logits.policies(self._space.numbers_of(reward))[improvements])

    def _replayed(self, beta: float) -> "Replayed":
        if beta not in self._replays:
            self._replays = {beta: self._replay(beta)}  # the others are not needed again
        return self._replays[beta]

    def _replay(self, beta: float) -> "Replayed":
        one, own = self._estimator, self._policies[self._agent]
        return Replayed(
            self._view, self._agent, own, beta=beta, executed=one.executed, space=self._space,
            kept=one.kept, falling=one.falling,
        )  # fmt: skip

    def _likeliest(self, improvements: int) -> float:
        if improvements not in self._found:
            steps = np.cumsum(self._view.counts[:improvements].sum(axis=(1, 2)))
            some = min(improvements, max(2, int((steps <= SEARCH_STEPS).sum())))
            self._found[improvements], _ = likeliest_step_size(
                lambda beta: self._replay(beta).glance(some)[1]
            )
        return self._found[improvements]


class Replayed:
    """How the improvements of pi_0, pi_1, ... depend on the reward of a learner of Algorithm 1.

    They are replayed one after the other as they are asked for. The variances of what cannot be
    replayed depend on the reward a little: those of an improvement are for the reward recovered by
    then.

    Parameters
    ----------
    policies
        The agent's policies as far as they are known, (n, S, A_i), NaN where unknown.
    beta, executed, kept, falling
        As for `malfl.Replay`.
    space
        The rewards that are looked for.
    rough
        A reward, flat, for which all variances are then.

    Raises
    ------
    ValueError
        If episodes were not recorded.
    """

    def __init__(
        self,
        view: View,
        agent: int,
        policies: FloatArray,
        *,
        beta: float,
        executed: bool,
        space: Space,
        kept: bool = False,
        falling: float = 0.0,
        rough: FloatArray | None = None,
    ) -> None:
        if view.episodes is None:
            raise ValueError(
                "view has no episodes to replay; learn with record=True, or use another estimator"
            )
        self._view, self._episodes, self._policies = view, view.episodes, policies
        self._counts, self._beta, self._executed = view.own_counts(agent), beta, executed
        self._kept, self._falling = kept, falling
        self._codes = Codes(*view.dynamics.code_parts(agent))
        self._space = space
        self._entries = earned_by_code(view.dynamics, agent, space.reward_class)
        self._values = values_of(view.dynamics, agent, space)
        self._logits = empty_logits(
            view.dynamics, len(self._counts), agent, self._values.room(len(self._counts))
        )
        self._done, self._rough = 0, rough
        self._last: FloatArray | None = None  # reward that the improvements so far showed
        pairs = view.dynamics.n_states * view.dynamics.actions[agent]
        ended = np.flatnonzero(view.dynamics.ends)
        self._ended = ended * view.dynamics.actions[agent]
        self._final = self._entries[ended * view.dynamics.n_joint_actions]
        self._errors = np.zeros((2, pairs))
        self._visits = np.zeros(pairs)
        self._agent = agent

    def reward(self, improvements: int) -> RecoveredReward:
        """The reward by the first so many improvements; see `recover_from_logits`."""
        logits, counts = self.logits(improvements), self._counts[1 : improvements + 1]
        shown = promised_directions(self._view.dynamics, self._agent, self._space.reward_class)
        alpha = self._view.unit
        return recover_from_logits(logits, counts, alpha, self._space, self._beta, shown)

    def glance(self, improvements: int) -> tuple[FloatArray, float]:
        """See `glance_at_logits`."""
        logits, counts = self.logits(improvements), self._counts[1 : improvements + 1]
        return glance_at_logits(logits, counts, self._view.unit, SMALL_ERRORS)

    def logits(self, improvements: int) -> AffineLogits:
        """Of pi_1, ..., so many; one more than were seen has no variances."""
        left = self._episodes[self._done : improvements]
        with progress.bar(sum(played.steps for played in left)):
            while self._done < improvements:
                self._go_on(self._done)
        return self._logits.first(improvements)

    def _go_on(self, h: int) -> None:
        alpha, steps = self._view.unit, self._episodes[h].packed
        update, logits = self._update(h), self._logits
        states, own = self._policies.shape[1:]
        update.visits[:] = self._visits
        self._values.learn(steps, update, self._kept)
        self._values.write(logits, h, alpha)
        logits.known[h] = self._view.dynamics.legal[self._agent] & (len(steps.codes) > 0)
        self._done = h + 1
        reward = self._so_far()
        if reward is not None:
            worth, variance = self._errors if self._kept else self._errors.copy()
            worth[self._ended] = reward[self._final]
            update.visits[:] = self._visits
            for begin, end in passes(steps):
                replay_errors(
                    steps, self._codes, self._entries, begin, end, update, reward, worth, variance
                )
                progress.advance()
            logits.variances[h] = variance.reshape(states, own) / alpha**2
        if self._kept:
            self._visits += self._counts[h].ravel()

    def _update(self, h: int) -> Update:
        """How values move under the policy of that number."""
        policy = or_uniform(self._policies[h], self._view.dynamics.legal[self._agent])
        bonus = entropy_bonus(policy, self._view.unit)
        return Update(
            policy.ravel(), bonus.ravel(), (policy * bonus).sum(axis=1),
            self._view.dynamics.gamma, self._beta, self._executed, self._falling,
            np.zeros(policy.size),
        )  # fmt: skip

    def _so_far(self) -> FloatArray | None:
        """The reward that the improvements seen so far show, as far as variances need it."""
        done = self._done
        if self._rough is not None:
            return self._rough
        if (self._values.patterned or done > OFTEN) and done & (done - 1):
            return self._last  # looked for only where the data have doubled
        if done < len(self._counts):
            counts, alpha = self._counts[1 : done + 1], self._view.unit
            with suppress(NothingToLearnError):
                found, _ = glance_at_logits(self._logits.first(done), counts, alpha, SMALL_ERRORS)
                self._last = self._space.reward(found)
                return self._last
        return None
