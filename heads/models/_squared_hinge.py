"""Linear SVMs with squared hinge, many at once: Newton steps, each by conjugate gradients.

Each of M machines has weights w and an intercept b that minimise

    (|w|² + b²) / 2 + sum_n p_n max(0, 1 - f_n)² + q_n max(0, 1 + f_n)²,   f_n = w x_n + b.

p_n and q_n are what example n counts for and against the machine. With C in one of them and 0 in
the other that is LIBLINEAR's SVM (R.-E. Fan et al. 2008, JMLR 9: 1871-1874), which scikit-learn's
`LinearSVC` is by default; it is solved as S. S. Keerthi and D. DeCoste do (2005, A Modified Finite
Newton Method for Fast Solution of Large Scale Linear SVMs, JMLR 6: 341-361).

The best w is a sum of the examples, w = sum_n a_n x_n, and b = sum_n a_n. So machines are told by
their shares a, and all that is ever asked of the examples is a product with K = X Xᵀ + 1:

- margins f = K a;
- the way downhill, as shares: g = 2 p max(0, 1 - f) - 2 q max(0, 1 + f) - a. It is zero at the
  best a, and its length in the space of weights is sqrt(gᵀ K g);
- Newton's step d solves (1 + A K) d = g, where A is twice the weight of each example inside the
  margin. In the space of weights that is symmetric, so conjugate gradients solve it, at one product
  with K each;
- how far to go along it, until the objective is least, costs none.

Most of what makes that slow lies in a few directions, in which the examples vary far more than in
all others. They are found once (Z. Frangella, J. A. Tropp, M. Udell 2023, Randomized Nyström
Preconditioning, SIAM J. Matrix Anal. Appl. 44: 718-752, arXiv 2110.02820), and about half of the
products are saved.

Letters: M machines, N examples, R directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

Array = npt.NDArray[np.float64]

TOLERANCE = 1e-6
"""Of the gradient's length where all weights are zero: at what length a machine is solved."""
MOST_STEPS = 100
_TRACE = 1e-11  # of an example's mean squared length
_MOST_PRODUCTS = 1000  # of one step; what they lead to is downhill all the same
_MOST_TRIALS = 50  # of a step's length
_ROUGHLY = 0.1  # far from the solution no step is worth more precision than this
_DIRECTIONS = 50


@dataclass(frozen=True, slots=True)
class _Directions:
    """In which the examples vary most: at right angles in the space of weights too.

    Attributes:
        axes: [R, N], shares of the examples, of length 1.
        lifted: [R, N], axes K.
        powers: [R], how much the examples vary along each: axis K axisᵀ.
    """

    axes: Array
    lifted: Array
    powers: Array

    def without(self, vector: Array, share: Array) -> Array:
        """A vector and its product with K, each less a share of what lies along the directions.

        Args:
            vector: [2, M, N], both of them.
            share: [M, R].
        """
        along = share * (vector[1] @ self.axes.T)
        less: Array = vector - np.stack([along @ self.axes, along @ self.lifted])
        return less


def multiplier(vectors: Array) -> Callable[[Array], Array]:
    """What multiplies rows by K: the vectors' inner products plus one, [any, N] -> [any, N].

    The products are kept where there are fewer of them than values. A trace of a feature of its own
    for each example keeps K positive definite: where weights have fewer values than there are
    examples, many shares stand for the same weights, and rounding would let them grow.

    Shape:
        vectors: [N, D].
    """
    count, dim = vectors.shape
    own = _TRACE * (1 + float(np.einsum("ij,ij->", vectors, vectors)) / count)
    if count <= dim:
        products = vectors @ vectors.T
        products += 1.0
        products[np.diag_indices(count)] += own
        return lambda rows: rows @ products
    return lambda rows: (rows @ vectors) @ vectors.T + rows.sum(axis=1, keepdims=True) + own * rows


def solve(
    multiply: Callable[[Array], Array],
    positive: Array,
    negative: Array,
    tolerance: float = TOLERANCE,
    most_steps: int = MOST_STEPS,
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Solve M machines on the same examples; each stops by itself.

    Args:
        multiply: Each row times K, a `multiplier`.
        positive: p, what each example counts for each machine.
        negative: q, what it counts against it.
        tolerance: See `TOLERANCE`.
        most_steps: Newton steps, after which a machine is left as it is.

    Shape:
        positive, negative: [M, N]. Output: shares [M, N] of the examples, and [M], whether each
        machine is solved.

    >>> multiply = multiplier(np.array([[2.0]]))
    >>> shares, solved = solve(multiply, np.array([[0.5]]), np.array([[0.0]]))
    >>> round(float(shares[0, 0]), 6)  # a = 1 - (2 * 2 + 1) a
    0.166667
    """
    shares = np.zeros_like(positive)
    todo = np.arange(len(positive))
    directions = _main_directions(multiply, positive.shape[1])
    first: Array | None = None  # squared lengths of the gradients at the start
    for step in range(most_steps + 1):
        p, q, a = positive[todo], negative[todo], shares[todo]
        f = multiply(a)  # anew: the steps' own sums drift
        downhill = _pull(f, p, q) - a
        lifted = multiply(downhill)
        squares = _dot(downhill, lifted)
        first = squares if first is None else first
        go = squares > tolerance**2 * first[todo]
        todo = todo[go]
        if not todo.size or step == most_steps:
            break
        p, q, a, f, downhill, lifted = (x[go] for x in (p, q, a, f, downhill, lifted))
        goal = np.minimum(_ROUGHLY**2, squares[go] / first[todo]) * squares[go]
        goal = np.maximum(goal, tolerance**2 / 4 * first[todo])
        downhill = np.stack([downhill, lifted])
        way, rise = _newton_step(multiply, directions, _bend(f, p, q), downhill, goal)
        shares[todo] = a + _length(p, q, a, f, way, rise)[:, None] * way
    solved = np.ones(len(positive), bool)
    solved[todo] = False
    return shares, solved


def _main_directions(multiply: Callable[[Array], Array], count: int) -> _Directions:
    """The directions of `count` examples: random ones, once multiplied by K, made orthogonal."""
    rng = np.random.default_rng(0)
    axes = multiply(rng.standard_normal((min(_DIRECTIONS, count), count)))
    axes = np.linalg.qr(axes.T)[0].T
    lifted = multiply(axes)
    powers, turn = np.linalg.eigh(axes @ lifted.T)
    return _Directions(turn.T @ axes, turn.T @ lifted, np.maximum(powers, 0))


def _newton_step(
    multiply: Callable[[Array], Array],
    directions: _Directions,
    bend: Array,
    downhill: Array,
    goal: Array,
) -> Array:
    """Solve (1 + A K) d = g for d and K d, down to a residual of squared length `goal`.

    Conjugate gradients in the space of weights: the inner product of two shares u and v is uᵀ K v.
    Along the main directions the matrix is about 1 + h * powers, with h the mean of A, and the
    residual is divided by that. A machine that has reached its goal leaves, and the others are
    multiplied without it.

    Args:
        multiply: As for `solve`.
        directions: Of the examples.
        bend: [M, N], the diagonal of A.
        downhill: [2, M, N], g and K g.
        goal: [M].

    Shape:
        Output: [2, M, N].
    """
    found, live = np.zeros_like(downhill), np.arange(len(goal))
    height = bend.mean(axis=1, keepdims=True)
    share = height / (1 + height * directions.powers)
    residual, way = downhill, np.zeros_like(downhill)
    path = directions.without(residual, share)
    left = _dot(path[0], residual[1])
    for _ in range(_MOST_PRODUCTS):
        curved = path[0] + bend * path[1]
        steep = _dot(path[1], curved)
        length = (left / np.where(steep > 0, steep, np.inf))[:, None]
        way += length * path
        rest = residual[0] - length * curved
        residual = np.stack([rest, multiply(rest)])
        smooth = directions.without(residual, share)
        before, left = left, _dot(smooth[0], residual[1])
        path = smooth + (left / before)[:, None] * path
        go = _dot(residual[0], residual[1]) > goal
        go &= (steep > 0) & (left > 0)  # else nothing but rounding is left
        if not go.all():
            found[:, live] = way
            live, way, path, residual = live[go], way[:, go], path[:, go], residual[:, go]
            bend, share, goal, left = bend[go], share[go], goal[go], left[go]
            if not live.size:
                break
    found[:, live] = way
    return found


def _length(p: Array, q: Array, shares: Array, margins: Array, way: Array, rise: Array) -> Array:
    """How far along each way its minimum lies: [M].

    The slope along it is a rising line with bends, so Newton's method finds its zero in a few
    trials; where a trial leaves the bracket that earlier ones have made, the bracket is halved.

    Args:
        p: As for `solve`; so is q.
        q: [M, N].
        shares: Where the way starts.
        margins: K times shares.
        way: d.
        rise: K d.
    """
    start, power = _dot(shares, rise), _dot(way, rise)
    enough = 0.01 * np.abs(start - _dot(_pull(margins, p, q), rise))
    low, high = np.zeros(len(p)), np.full(len(p), np.inf)
    length = np.ones(len(p))
    for _ in range(_MOST_TRIALS):
        there = margins + length[:, None] * rise
        slope = start + length * power - _dot(_pull(there, p, q), rise)
        open_ = np.abs(slope) > enough
        if not open_.any():
            break
        low, high = np.where(slope < 0, length, low), np.where(slope > 0, length, high)
        curvature = power + _dot(_bend(there, p, q) * rise, rise)
        trial = length - slope / np.where(curvature > 0, curvature, np.inf)
        trial = np.where((low < trial) & (trial < high), trial, (low + high) / 2)
        length = np.where(open_, trial, length)
    return length


def _pull(margins: Array, p: Array, q: Array) -> Array:
    """Minus the slope of the loss."""
    pull: Array = 2 * (p * np.maximum(0, 1 - margins) - q * np.maximum(0, 1 + margins))
    return pull


def _bend(margins: Array, p: Array, q: Array) -> Array:
    """The loss's second derivative."""
    bend: Array = 2 * (p * (margins < 1) + q * (margins > -1))
    return bend


def _dot(left: Array, right: Array) -> Array:
    """Inner products of rows: [M, N] -> [M]."""
    products: Array = np.einsum("mn,mn->m", left, right)
    return products
