"""What is said of clips that are missing or left out."""

from __future__ import annotations

import pytest

from embedcache.corpora import first_names, warn_of_left_out, warn_of_missing


@pytest.mark.parametrize("count", range(8))
def test_every_name_is_shown_or_counted(count: int) -> None:
    shown, _, more = first_names(range(count), most=5).partition(" and ")
    names = shown.split(", ") if shown else []
    assert names == [str(n) for n in range(min(count, 5))]
    assert more == (f"{count - 5} more" if count > 5 else "")


def test_missing_and_surplus_clips_are_named_by_part(caplog: pytest.LogCaptureFixture) -> None:
    parts = ["anna"] * 3 + ["ben"] * 5 + ["carl"] * 2 + [None]
    warn_of_missing("mine", parts, {"anna": 3, "ben": 4, "carl": 4, "dora": 1})
    assert caplog.messages == [
        "mine: 10 of 12 clips found; not as its documents say: ben (5 of 4), carl (2 of 4), "
        "dora (0 of 1)"
    ]


def test_nothing_is_missing_where_all_is_there(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_missing("mine", ["anna"] * 3, {"anna": 3})
    warn_of_left_out("mine", "clips", [])
    assert not caplog.records


def test_what_is_left_out_is_counted_and_named(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_left_out("mine", "clips", list("abcdefg"))
    assert caplog.messages == ["mine: left out: 7 clips: a, b, c, d, e and 2 more"]
