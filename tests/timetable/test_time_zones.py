from __future__ import annotations

import pytest

from bodywork_argo.time_zones import check_zone


@pytest.mark.parametrize(
    "name",
    [
        "Europe/Berlin",
        "America/New_York",
        "America/Argentina/Buenos_Aires",
        # Its clocks go with those of Brussels, and still it is the name of its place.
        "Europe/Amsterdam",
        "Europe/Kyiv",
        "UTC",
        "Etc/UTC",
        "Etc/GMT+2",
    ],
)
def test_current_names_of_places_and_utc_are_taken(name: str) -> None:
    assert check_zone(name) is None


@pytest.mark.parametrize(
    ("name", "current"),
    [
        ("US/Eastern", "America/New_York"),
        ("EST", "America/Panama"),
        ("Asia/Calcutta", "Asia/Kolkata"),
        ("Europe/Kiev", "Europe/Kyiv"),
        ("GB", "Europe/London"),
        ("Zulu", "Etc/UTC"),
    ],
)
def test_an_old_name_is_refused_with_the_current_one(name: str, current: str) -> None:
    assert str(check_zone(name)) == (
        f"timezone: {name} is an old name, which not every system knows;"
        f" write {current}, whose clocks it shares"
    )


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("europe/berlin", "did you mean Europe/Berlin?"),
        ("Europe/Berlinn", "did you mean Europe/Berlin?"),
        ("Berlin", "did you mean Europe/Berlin?"),
        ("new york", "did you mean America/New_York?"),
        ("utc", "did you mean UTC?"),
        ("CEST", "write a place such as Europe/Berlin, or UTC"),
        ("Local", "write a place such as Europe/Berlin, or UTC"),
        ("../Europe/Berlin", "did you mean Europe/Berlin?"),
        ("GMT+2", "write a place such as Europe/Berlin, or Etc/GMT-2, whose sign is turned round"),
        ("UTC-03", "write a place such as Europe/Berlin, or Etc/GMT+3, whose sign is turned round"),
        ("GMT+99", "write a place such as Europe/Berlin, or UTC"),
    ],
)
def test_a_zone_that_is_none_is_refused_with_what_may_be_meant(name: str, remedy: str) -> None:
    assert str(check_zone(name)) == f"timezone: there is no {name}; {remedy}"


def test_an_empty_name_is_refused() -> None:
    assert str(check_zone("")) == "timezone: is empty; write a place such as Europe/Berlin, or UTC"


def test_control_characters_of_a_name_do_not_reach_the_terminal() -> None:
    assert str(check_zone("\x1b[31mUTC")) == (
        "timezone: has characters that can't be shown; write a place such as Europe/Berlin, or UTC"
    )
