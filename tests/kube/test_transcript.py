"""Whatever is cut where, each byte of a log comes once."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from bodywork_argo.kube.transcript import Reading, Seen
from tests.kube.kubelet import Entry, served, written

# Some runtimes stamp all lines of one read alike, others each line.
_GAPS = st.sampled_from([0, 1, 1000, 400_000_000, 1_000_000_000, 7_300_000_000])
_TEXTS = st.one_of(
    st.binary(max_size=8), st.sampled_from([b"\r", b"2026-01-01T00:00:00.000000000Z x", b""])
).map(lambda text: text.replace(b"\n", b""))


def _entry(nanos: int, text: bytes, partial: bool) -> Entry:
    # No runtime writes a part without text.
    return Entry(nanos, text, partial and text != b"")


@st.composite
def logs(draw: st.DrawFn, longest: int = 90) -> list[Entry]:
    raw = draw(st.lists(st.tuples(_GAPS, _TEXTS, st.booleans()), min_size=1, max_size=longest))
    moments = accumulate(gap for gap, _, _ in raw)
    return [
        _entry(nanos, text, partial) for nanos, (_, text, partial) in zip(moments, raw, strict=True)
    ]


def read(seen: Seen, stream: bytes, size: int) -> bytes:
    reading = Reading(seen)
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    new = b"".join(reading.feed(piece) for piece in pieces)
    assert not reading.alien
    return new


@given(logs(), st.lists(st.floats(0, 1), max_size=4), st.sampled_from([1, 7, 100_000]))
def test_each_byte_comes_once_wherever_connections_break(
    entries: list[Entry], cuts: list[float], size: int
) -> None:
    seen, got = Seen(), b""
    for cut in cuts:
        stream = served(entries, seen.since)
        got += read(seen, stream[: int(len(stream) * cut)], size)

    got += read(seen, served(entries, seen.since), size)

    assert got == written(entries)


@given(logs(longest=30), logs(longest=30))
def test_what_follows_a_rotation_is_new(before: list[Entry], after: list[Entry]) -> None:
    late = before[-1].nanos + 1
    before = [*before, Entry(late, b"the last line of the old file")]
    fresh = [Entry(late + 1 + one.nanos, one.text, one.partial) for one in after]
    seen = Seen()
    read(seen, served(before, None), 100)

    assert read(seen, served(fresh, seen.since), 100) == written(fresh)


def test_two_streams_may_be_stored_out_of_order() -> None:
    """Each stream's lines are stamped before they are put into the file."""
    swapped = [Entry(number ^ 1, b"%d" % number) for number in range(200)]
    for lines in range(200):
        seen = Seen()
        begin = served(swapped[: lines + 1], None)
        got = read(seen, begin, 1000) + read(seen, served(swapped, seen.since), 1000)
        assert got == written(swapped)


def test_a_long_log_is_asked_for_from_its_last_seconds_on() -> None:
    entries = [Entry(number * 10**8, b"line") for number in range(1000)]
    seen = Seen()
    read(seen, served(entries, None), 1000)

    assert seen.since == "2026-01-01T00:01:33Z"


def test_what_the_server_says_is_not_what_the_container_wrote() -> None:
    reading = Reading(Seen())

    new = reading.feed(served([Entry(0, b"a line")], None) + b"rpc error: no such container")

    assert new == b"a line\n"
    assert reading.alien == b"rpc error: no such container"


def test_a_stream_that_ends_in_a_timestamp_is_not_whole() -> None:
    reading = Reading(Seen())
    reading.feed(b"2026-01-01T00:00:00.0000")

    assert not reading.whole


def test_other_time_zones_are_understood() -> None:
    seen = Seen()
    reading = Reading(seen)
    reading.feed(b"2026-01-01T00:00:00.5+02:00 a\n2026-01-01T00:00:01+02:00 b\n")

    assert seen.since == "2026-01-01T00:00:00+02:00"
