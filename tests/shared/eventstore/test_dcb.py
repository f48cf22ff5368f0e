"""The log is a recorder of the `eventsourcing` library: the library's own test case, unchanged."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from eventsourcing.dcb.api import DCBAppendCondition, DCBEvent, DCBQuery, DCBQueryItem
from eventsourcing.dcb.tests import DCBRecorderTestCase
from eventsourcing.persistence import IntegrityError, ProgrammingError

from shared.eventstore.dcb import MarrowDCBRecorder


@pytest.fixture
def recorder(database_url: str) -> Iterator[MarrowDCBRecorder]:
    with MarrowDCBRecorder(database_url) as recorder:
        yield recorder


def test_it_appends_and_reads_as_the_library_demands(recorder: MarrowDCBRecorder) -> None:
    DCBRecorderTestCase()._test_append_read(recorder)


def test_it_is_subscribed_to_as_the_library_demands(recorder: MarrowDCBRecorder) -> None:
    DCBRecorderTestCase()._test_append_subscribe(recorder)


def test_any_bytes_come_back_as_they_were(recorder: MarrowDCBRecorder) -> None:
    data = bytes(range(256))
    recorder.append([DCBEvent("bytes", data)])
    assert [found.event.data for found in recorder.read()] == [data]


def test_the_refusals_are_those_of_the_library(recorder: MarrowDCBRecorder) -> None:
    event = DCBEvent("taken", b"", ["seat:1"])
    recorder.append([event])
    with pytest.raises(IntegrityError):
        recorder.append([event], DCBAppendCondition(DCBQuery([DCBQueryItem(tags=["seat:1"])])))
    with pytest.raises(ProgrammingError):
        recorder.append([])


def test_a_subscription_that_waits_ends_when_it_is_stopped(recorder: MarrowDCBRecorder) -> None:
    subscription = recorder.subscribe()
    received: list[int] = []
    reading = threading.Thread(target=lambda: received.extend(each.position for each in subscription))
    reading.start()
    recorder.append([DCBEvent("first", b"")])
    reading.join(timeout=0.3)
    assert reading.is_alive()
    subscription.stop()
    reading.join(timeout=2)
    assert not reading.is_alive()
    assert received == [1]
