"""What waits: two priorities, one line for each bucket, sums that are right."""

import pytest

from retinue.runtime.backlog import Backlog
from retinue.runtime.caller import Caller, Priority
from retinue.runtime.ticket import Ticket


def add(backlog: Backlog[str, int], item: str, bucket: str = "x", work_s: float = 0.0, byte_count: int = 0) -> None:
    """Queue an item; capitals are high."""
    priority: Priority = "high" if item.isupper() else "normal"
    backlog.append(bucket, Ticket(item, Caller(None, priority), 0.0), byte_count, work_s)


def led(backlog: Backlog[str, int], *among: str) -> str:
    """Remove the item that leads the next batch, and return it."""
    return backlog.pop(*backlog.lead(among or None)).ticket.item


def backlog_of(items: str) -> Backlog[str, int]:
    backlog: Backlog[str, int] = Backlog()
    for item in items:
        add(backlog, item)
    return backlog


def test_oldest_leads_whatever_its_bucket() -> None:
    backlog: Backlog[str, int] = Backlog()
    for item, bucket in zip("abc", "yxy", strict=True):
        add(backlog, item, bucket)
    assert [led(backlog) for _ in "abc"] == ["a", "b", "c"]


def test_high_goes_first() -> None:
    backlog = backlog_of("abAB")
    assert [led(backlog) for _ in "abAB"] == ["A", "B", "a", "b"]


def test_normal_leads_every_fourth_turn_while_both_wait() -> None:
    backlog = backlog_of("abcABCDEFGH")
    assert "".join(led(backlog) for _ in range(11)) == "ABCaDEFbGHc"


def test_turns_are_counted_only_while_normal_waits() -> None:
    backlog = backlog_of("ABCDE")
    assert "".join(led(backlog) for _ in "ABCD") == "ABCD"
    add(backlog, "a")
    add(backlog, "F")
    assert "".join(led(backlog) for _ in "EFa") == "EFa"


def test_turns_begin_anew_when_no_normal_item_waits_any_more() -> None:
    backlog = backlog_of("aABC")
    assert led(backlog) + led(backlog) == "AB"
    backlog.pop("normal", "x")  # it shared the batch of another
    assert led(backlog) == "C"
    for item in "bDEF":
        add(backlog, item)
    assert "".join(led(backlog) for _ in "DEFb") == "DEFb"


def test_lead_is_chosen_among_the_buckets_given() -> None:
    backlog: Backlog[str, int] = Backlog()
    for item, bucket in zip("aBc", "xyz", strict=True):
        add(backlog, item, bucket)
    assert led(backlog, "x", "z") == "a"
    assert led(backlog, "z") == "c"
    assert backlog.buckets() == {"y"}


def test_other_priority_fills_the_rest_of_a_batch() -> None:
    backlog = backlog_of("abAB")
    add(backlog, "C", "other")
    taken = [backlog.pop(level, "x").ticket.item for level in backlog.turns("normal", "x")]
    assert taken == ["a", "b", "A", "B"]
    assert (backlog.item_count, backlog.count("x"), backlog.count("other")) == (1, 0, 1)


def test_item_that_is_put_back_is_the_first_again() -> None:
    backlog = backlog_of("ab")
    entry = backlog.pop("normal", "x")
    backlog.put_back("x", entry)
    assert backlog.item_count == 2
    assert led(backlog) == "a"


def test_entries_are_seen_high_first() -> None:
    assert [entry.ticket.item for entry in backlog_of("abAB").entries("x")] == ["A", "B", "a", "b"]
    assert list(backlog_of("a").entries("other")) == []


@pytest.mark.parametrize(("high_s", "normal_s", "before_high_s"), [(3.0, 8.0, 4.0), (9.0, 1.0, 10.0), (0.0, 5.0, 0.0)])
def test_work_that_goes_before(high_s: float, normal_s: float, before_high_s: float) -> None:
    """Before a high item goes what is high, and a normal one for every three."""
    backlog: Backlog[str, int] = Backlog()
    add(backlog, "A", work_s=high_s)
    add(backlog, "a", work_s=normal_s)
    assert backlog.work_before_s("normal") == high_s + normal_s
    assert backlog.work_before_s("high") == before_high_s


def test_sums_end_at_nothing() -> None:
    """Also those of floats, of which crumbs would stay."""
    backlog: Backlog[str, int] = Backlog()
    for number in range(1, 50):
        add(backlog, "a", "xy"[number % 2], 1 / number, number)
    assert backlog.byte_count == sum(range(1, 50))
    for _ in range(49):
        led(backlog)
    assert (backlog.item_count, backlog.byte_count, backlog.work_before_s("normal")) == (0, 0, 0.0)
    assert not backlog.buckets()
