"""Billing periods: month ends, leap years, daylight saving, zones that skipped a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.periods import Cadence, add_months

ZONES = [
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Sao_Paulo",
]
moments = st.datetimes(datetime(2008, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
cadences = st.builds(
    Cadence,
    st.sampled_from(["day", "week", "month", "year"]),
    st.integers(1, 7),
    st.sampled_from(ZONES),
)


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def test_keeps_the_anchor_day_after_a_short_month() -> None:
    anchor, monthly = at("2027-01-31T10:00"), Cadence("month", 1)
    ends = [monthly.boundary(anchor, number).date().isoformat() for number in range(5)]
    assert ends == ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]


def test_ends_a_leap_years_day_on_the_last_of_february() -> None:
    yearly = Cadence("year", 1)
    ends = [yearly.boundary(at("2024-02-29T00:00"), number).date().isoformat() for number in range(5)]
    assert ends == ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]


def test_keeps_the_wall_clock_when_the_clocks_change() -> None:
    daily = Cadence("day", 1, "America/New_York")
    anchor = at("2027-03-13T09:00", "America/New_York")
    period = daily.period_at(anchor, anchor)
    assert period.end - period.start == timedelta(hours=23)
    assert period.end.astimezone(ZoneInfo("America/New_York")).hour == 9


def test_moves_a_wall_time_that_is_skipped_past_the_gap() -> None:
    monthly = Cadence("month", 1, "Europe/Berlin")
    end = monthly.boundary(at("2027-02-28T02:30", "Europe/Berlin"), 1)
    assert end.astimezone(ZoneInfo("Europe/Berlin")).isoformat() == "2027-03-28T03:30:00+02:00"


def test_passes_over_a_day_that_a_zone_skipped() -> None:
    daily = Cadence("day", 1, "Pacific/Apia")
    anchor = at("2011-12-29T10:00", "Pacific/Apia")
    first = daily.period_from(anchor)
    second = daily.next_period(anchor, first.end)
    assert first.end == second.start < second.end
    assert second.end.astimezone(ZoneInfo("Pacific/Apia")).date().isoformat() == "2012-01-01"


def test_counts_back_before_the_anchor() -> None:
    period = Cadence("month", 1).period_at(at("2027-05-31T00:00"), at("2027-02-28T12:00"))
    assert (period.start.date().isoformat(), period.end.date().isoformat()) == ("2027-02-28", "2027-03-31")


@pytest.mark.parametrize(
    ("start", "months", "expected"),
    [("2027-01-31", 1, "2027-02-28"), ("2027-03-31", -1, "2027-02-28"), ("2027-12-15", 13, "2029-01-15")],
)
def test_adds_months(start: str, months: int, expected: str) -> None:
    assert add_months(datetime.fromisoformat(start), months) == datetime.fromisoformat(expected)


@given(cadence=cadences, anchor=moments, moment=moments)
def test_finds_the_one_period_that_holds_a_moment(cadence: Cadence, anchor: datetime, moment: datetime) -> None:
    period = cadence.period_at(anchor, moment)
    assert moment in period
    assert period.start < period.end


@given(cadence=cadences, anchor=moments)
def test_never_skips_or_overlaps(cadence: Cadence, anchor: datetime) -> None:
    period = cadence.period_from(anchor)
    assert period.start == anchor
    for _ in range(30):
        following = cadence.next_period(anchor, period.end)
        assert following.start == period.end < following.end
        assert following == cadence.period_at(anchor, following.start)
        period = following


@given(cadence=cadences, anchor=moments, number=st.integers(-40, 40))
def test_never_wanders_from_the_anchors_wall_clock(cadence: Cadence, anchor: datetime, number: int) -> None:
    zone = ZoneInfo(cadence.zone)
    wall, begun = cadence.boundary(anchor, number).astimezone(zone), anchor.astimezone(zone)
    shift = wall.replace(tzinfo=None) - datetime.combine(wall.date(), begun.time())
    assert abs(shift) <= timedelta(hours=1) or cadence.zone == "Pacific/Apia"
