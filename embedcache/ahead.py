"""Do what comes next while the present is being used: threads before and behind a loop."""

from __future__ import annotations

import logging
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_log = logging.getLogger(__name__)

Item = TypeVar("Item")
Done = TypeVar("Done")


def ahead(
    work: Callable[[Item], Done],
    items: Iterable[Item],
    workers: int,
    depth: int,
    cost: Callable[[Item], float] = lambda item: 0.0,
    budget: float = 1.0,
) -> Iterator[tuple[Item, Done]]:
    """Each item and what `work` makes of it, in order; up to `depth` are made in advance.

    Items are taken only as they are needed. Whoever stops asking, by an exception or otherwise,
    leaves nothing running.

    Args:
        work: Called in other threads; its exceptions come out in the item's turn.
        items: Any number of them.
        workers: How many threads.
        depth: The most items that are begun and not given out yet.
        cost: What an item costs, such as its memory.
        budget: No further item is begun while those that are cost this much or more.

    >>> list(ahead(str.upper, "ab", workers=2, depth=3))
    [('a', 'A'), ('b', 'B')]
    """
    source = iter(items)
    begun: deque[tuple[Item, Future[Done]]] = deque()
    with ThreadPoolExecutor(workers, "ahead") as pool:
        try:
            while True:
                while len(begun) < depth and sum(cost(item) for item, _ in begun) < budget:
                    following = list(islice(source, 1))
                    if not following:
                        break
                    begun.append((following[0], pool.submit(work, following[0])))
                if not begun:
                    return
                item, future = begun.popleft()
                yield item, future.result()
        finally:
            for _, future in begun:
                future.cancel()


class Behind:
    """Do things in threads of their own, begun in order, a few behind whoever asks for them.

    A context, which ends when everything is done. The first exception comes out of a later `do`, or
    of the context's end; nothing is begun after it. Where the context ends by an error of its own,
    what was asked for is still done, and an exception of that is logged.
    """

    def __init__(self, depth: int, workers: int = 1) -> None:
        """Start idle.

        Args:
            depth: The most things that are asked for and not done.
            workers: How many threads.
        """
        self._pool = ThreadPoolExecutor(workers, "behind")
        self._begun: deque[Future[object]] = deque()
        self._depth = depth
        self._failed = False

    def do(self, work: Callable[[], object]) -> None:
        """Do something soon; waits while more than `depth` things are still to be done."""
        self._begun.append(self._pool.submit(self._unless_failed, work))
        while len(self._begun) > self._depth or self._begun[0].done():
            self._begun.popleft().result()
            if not self._begun:
                break

    def _unless_failed(self, work: Callable[[], object]) -> None:
        if self._failed:
            return
        try:
            work()
        except BaseException:
            self._failed = True
            raise

    def __enter__(self) -> Behind:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Wait for what is still to be done, also where the context ends by an error."""
        try:
            while self._begun and error is None:
                self._begun.popleft().result()
        finally:
            self._pool.shutdown(wait=True)
        lost = [found for future in self._begun if (found := future.exception())]
        if lost:
            _log.warning("behind the error that follows: %s", lost[0])
