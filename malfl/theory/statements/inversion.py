"""Shapings, and rewards read off improvements: MA-LfL, Sections 4.4 and 5; LfL, Section 4."""

import numpy as np
from scipy.linalg import lstsq
from scipy.special import log_softmax, logsumexp, xlogy

from malfl.checks import FloatArray
from malfl.evaluation.identifiability import open_directions
from malfl.games.soft import entropy, marginal_soft_q, over_opponents
from malfl.recovery.policies import entropy_regularised
from malfl.theory.bounds import Bound
from malfl.theory.prediction import Prediction
from malfl.theory.statements.improvement import equation, theorem_4_7_simultaneous


def lemma_4_9(p: Prediction) -> Bound:
    """A shaping of the reward does not change the improvement (also LfL, Theorem 1)."""
    return _same_improvement(p, p.game.gamma)


def section_5_2_shaping(p: Prediction) -> Bound:
    """The same for sh = g(s) - E[g(s')], as Section 5.2 prints it, without gamma."""
    return _same_improvement(p, 1.0)


def lfl_lemma_1(p: Prediction) -> Bound:
    """A reward is shaped by g if and only if its soft Q values are shifted by g."""
    return _worse(lfl_lemma_1_forward(p), lfl_lemma_1_backward(p))


def lfl_lemma_1_forward(p: Prediction) -> Bound:
    """(A) implies (B): a reward shaped by g has soft Q values shifted by g."""
    g = _state_function(p)
    shaped = p.soft_q(_shaped(p, g), p.policy)
    return equation(shaped - p.q - g[:, None], _size(shaped, g))


def lfl_lemma_1_backward(p: Prediction) -> Bound:
    """(B) implies (A): the reward whose soft Q is shifted by g is the one shaped by g."""
    g = _state_function(p)
    q = p.q + g[:, None]
    value = (p.policy * q).sum(axis=1) + p.alpha * entropy(p.policy)
    reward = q - p.game.gamma * p.ahead(value)  # by the Bellman equation
    return equation(reward - _shaped(p, g), _size(q, g))


def lfl_theorem_1(p: Prediction) -> Bound:
    """A shaped reward has the same improvements and the same optimal policy."""
    return _worse(lemma_4_9(p), lfl_theorem_1_optimum(p))


def lfl_theorem_1_optimum(p: Prediction) -> Bound:
    """Both rewards have the same optimal policy: one's is a fixed point of the other's."""
    return _same_optimum(p, _shaped(p, _state_function(p)))


def theorem_5_1(p: Prediction) -> Bound:
    """Eq. 7: the right-hand side is the expected reward, shaped by g = -alpha ln Z.

    With one agent this is LfL's Theorem 2, cited as MA-LfL's Theorem 4.2.
    """
    off = _target(p) - _shaped(p, _minus_log_z(p))
    return equation(off, _size(_target(p), _minus_log_z(p)))


def equation_8(p: Prediction) -> Bound:
    """Eq. 8 taken by itself: the right-hand side is R~, no shaping in between."""
    return equation(_target(p) - p.reward, _size(_target(p)))


def lfl_theorem_2(p: Prediction) -> Bound:
    """`theorem_5_1` for one agent, and the recovered reward has the same optimal policy."""
    return _worse(theorem_5_1(p), lfl_theorem_2_optimum(p))


def lfl_theorem_2_optimum(p: Prediction) -> Bound:
    """The recovered reward has the same optimal policy as the true one."""
    return _same_optimum(p, _target(p))


def remark_5_2(p: Prediction) -> Bound | None:
    """Theorem 5.1 where a simultaneous improvement made something worse for the agent."""
    moved = theorem_4_7_simultaneous(p)
    return None if moved is None or moved.holds else theorem_5_1(p)


def equation_5(p: Prediction) -> Bound:
    """With the next action drawn from pi, soft Q of own actions satisfies Eq. 5."""
    value = (p.policy * p.q).sum(axis=1) + p.alpha * entropy(p.policy)
    off = p.q - p.reward - p.game.gamma * p.ahead(value)
    return equation(off, _size(p.q))


def equation_5_new_actions(p: Prediction) -> Bound:
    """Theorem 5.1 for a learner that evaluates its policy with next actions from pi_new.

    What is left over by the best shaping.
    """
    logs = log_softmax(new_action_q(p) / p.alpha, axis=1)
    return _up_to_shaping(p, _target(p, logs))


def equation_11_after(p: Prediction) -> Bound | None:
    """Eq. 11 with the opponents' policies after the improvement, not before."""
    if p.game.n_agents == 1:
        return None
    divergence = _divergence_before(p, p.logs)
    after = (p.game.transitions @ divergence).reshape(p.game.n_states, -1)
    ahead = over_opponents(p.game, p.everyone_after, p.agent, after)
    return _up_to_shaping(p, p.alpha * p.logs + p.alpha * p.game.gamma * ahead)


def equation_12(p: Prediction) -> Bound | None:
    """Eq. 12 at its word: the true reward makes the loss 0 for each (s, a, s'), g being free.

    Not only on average over a^-i and s', as Theorem 5.1 has it. Every joint action counts, since
    the policies that are improvements play each.
    """
    if p.game.n_agents == 1:
        return None
    target = _target(p)[:, p.game.own_actions[p.agent]]
    left_over = target - p.game.joint_reward(p.agent)
    rows, later = p.game.transitions.nonzero()  # an equation for each possible next state
    each = np.eye(p.game.n_states)
    shaping = each[rows // p.game.n_joint_actions] - p.game.gamma * each[later]
    return _left_over(left_over.ravel()[rows], shaping)


def lfl_section_4_3(p: Prediction) -> Bound | None:
    """A reward of the state is known up to a constant where every action leads to one state.

    Directions that stay open, against 1, the constant.
    """
    if p.game.n_agents > 1 or not p.game.is_deterministic:
        return None
    directions = open_directions(p.game, [p.policy[None]], 0, "state").shape[1]
    return Bound(float(directions), 1.0)


def equation_10_as_printed(p: Prediction) -> Bound:
    """That the policy meant maximises -sum(ln p + lambda H), lambda = .3.

    Compared with one that all but gives up the action most played.
    """
    counts = np.round(1e6 * p.policy[0])
    played = counts / counts.sum()
    other = np.where(np.arange(len(played)) == played.argmax(), 1e-6, 1.0)
    other /= other.sum()

    def printed(policy: FloatArray) -> float:
        # Its exponential, so that both sides are positive.
        return float(np.exp(-xlogy(played, policy).sum() - 0.3 * entropy(policy)))

    return Bound(printed(other), printed(entropy_regularised(counts)))


def equation_10(p: Prediction) -> Bound:
    """Minimised, it has its optimum at the closed form, lambda = .3.

    Compared with what was played, the uniform policy, and the closed form itself shifted by a tenth
    and by a thousandth towards each action.
    """
    counts = np.round(1e6 * p.policy[0])
    played, own = counts / counts.sum(), len(counts)
    found = entropy_regularised(counts)
    others = [played, np.full(own, 1 / own)]
    others += [(1 - e) * found + e * np.eye(own)[a] for a in range(own) for e in (0.1, 1e-3)]

    def likelihood(policy: FloatArray) -> float:
        # Not its logarithm, so that both sides are positive.
        return float(np.exp(xlogy(played, policy).sum() + 0.3 * entropy(policy)))

    return Bound(max(likelihood(policy) for policy in others), likelihood(found))


def new_action_q(p: Prediction) -> FloatArray:
    """Eq. 5 at its word: values of pi, but next own actions come from pi_new, shape (S, A_i).

    pi_new is the improvement by the true soft Q; entropies are those of pi, as printed.
    """
    new, reward = np.exp(p.logs), p.reward
    value = p.discounted(new, (new * reward).sum(axis=1) + p.alpha * entropy(p.policy))
    return reward + p.game.gamma * p.ahead(value)


def _worse(*equations: Bound) -> Bound:
    """The one that is nearest to failing."""
    return max(equations, key=lambda bound: bound.ratio)


def _same_improvement(p: Prediction, factor: float) -> Bound:
    """Ln pi_new for the reward and for it plus g(s) - factor E[g(s')]."""
    g = _state_function(p)
    ahead = (p.game.transitions @ g).reshape(p.game.n_states, -1)
    rewards = [p.game.joint_reward(i) for i in range(p.game.n_agents)]
    rewards[p.agent] = rewards[p.agent] + g[:, None] - factor * ahead
    q = marginal_soft_q(p.game.with_rewards(rewards), p.policies, p.agent, p.alpha) / p.alpha
    logs = log_softmax(q, axis=1)
    return equation(logs - p.logs, _size(q))


def _same_optimum(p: Prediction, other: FloatArray) -> Bound:
    """Whether the optimal soft policy of the agent's process is that for another reward too."""
    q = p.soft_q(other, p.optimum) / p.alpha
    improved = np.exp(log_softmax(q, axis=1))
    # The optimum itself is found to within 1e-10 of the values.
    return equation(improved - p.optimum, 10 * _size(q))


def _up_to_shaping(p: Prediction, target: FloatArray) -> Bound:
    """Whether a target for the expected reward is right but for a shaping."""
    shaping = p.shaping_matrix
    dense = shaping if isinstance(shaping, np.ndarray) else shaping.toarray()
    return _left_over((target - p.reward).ravel(), dense)


def _left_over(values: FloatArray, shaping: FloatArray) -> Bound:
    """Whether some g has values = shaping g, by least squares."""
    g, *_ = lstsq(shaping, values)
    return equation(values - shaping @ g, _size(values, g))


def _target(p: Prediction, logs: FloatArray | None = None) -> FloatArray:
    """The right-hand side of Eq. 7, shape (S, A_i)."""
    logs = p.logs if logs is None else logs
    ahead = p.ahead(_divergence_before(p, logs))
    return np.asarray(p.alpha * logs + p.alpha * p.game.gamma * ahead)


def _divergence_before(p: Prediction, logs: FloatArray) -> FloatArray:
    """KL(pi || pi_new), shape (S,)."""
    return np.asarray((xlogy(p.policy, p.policy) - p.policy * logs).sum(axis=1))


def _minus_log_z(p: Prediction) -> FloatArray:
    return np.asarray(-p.alpha * logsumexp(p.q / p.alpha, axis=1))


def _shaped(p: Prediction, g: FloatArray) -> FloatArray:
    """R~ + g(s) - gamma E[g(s')], shape (S, A_i)."""
    return np.asarray(p.reward + g[:, None] - p.game.gamma * p.ahead(g))


def _state_function(p: Prediction) -> FloatArray:
    """Some function of the state to shape rewards by: what errors of the guess come to."""
    return np.asarray(p.q_error.mean(axis=1) + p.alpha)


def _size(*values: FloatArray) -> float:
    return 1.0 + sum(float(np.abs(v).max()) for v in values)
