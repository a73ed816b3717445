"""Matrix products of models that are fitted without epochs, each on one core."""

from __future__ import annotations

from threadpoolctl import threadpool_limits


def one_core_each() -> threadpool_limits:
    """While it is open, a matrix product keeps to one core, and its thread.

    What a solver multiplies is small: on several cores that is little faster, and many times slower
    where these have other work; and its last bits depend on their number. Inner folds side by side
    keep cores busy without waiting.
    """
    return threadpool_limits(1, user_api="blas")
