from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedcache.errors import SerError
from embedcache.store.plan import add_plan, deal, read_plans

ROWS = st.lists(st.integers(0, 100), max_size=40)


@given(ROWS, st.integers(1, 150))
def test_dealing_keeps_every_row_once_and_in_order(sizes: list[int], limit: int) -> None:
    rows = [(f"c{i}", f"u{i}", size) for i, size in enumerate(sizes)]
    shards = deal(rows, limit)
    assert [row for shard in shards for row in shard] == [row[:2] for row in rows]
    for shard in shards:
        total = sum(sizes[int(content[1:])] for content, _ in shard)
        assert shard
        assert total <= limit or sum(sizes[int(c[1:])] > 0 for c, _ in shard) == 1


def test_plans_come_back_in_their_order(tmp_path: Path) -> None:
    assert add_plan(tmp_path, [[("a", "x")], [("b", "y")]])
    assert add_plan(tmp_path, [[("c", "z")]])
    assert [(s.name, s.rows) for s in read_plans(tmp_path)] == [
        ("0000-00000", (("a", "x"),)),
        ("0000-00001", (("b", "y"),)),
        ("0001-00000", (("c", "z"),)),
    ]


def test_of_many_planners_at_once_each_number_is_given_once(tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda n: add_plan(tmp_path, [[(f"c{n}", "u")]]), range(40)))
    plans = read_plans(tmp_path)
    assert len(plans) == sum(won)
    assert len({plan.rows for plan in plans}) == len(plans)


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1, "shards": [[["a"]]]}', "[1]"])
def test_a_damaged_plan_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "0000.json").write_text(text)
    with pytest.raises(SerError, match=r"0000\.json is damaged"):
        read_plans(tmp_path)
