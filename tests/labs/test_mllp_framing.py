"""Where a message begins and ends in a stream, however it arrives."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.labs.mllp_framing import Blocks, EndlessBlockError, framed

MAX = 64

messages = st.binary(max_size=MAX).map(lambda text: text.replace(b"\x0b", b"").replace(b"\x1c", b""))
garbage = st.binary(max_size=8).map(lambda text: text.replace(b"\x0b", b""))


def taken(*pieces: bytes, bytes_max: int = MAX) -> list[bytes]:
    blocks = Blocks(bytes_max)
    return [message for piece in pieces for message in blocks.take(piece)]


@given(st.lists(st.tuples(garbage, messages), max_size=5), st.lists(st.integers(0, 400)))
def test_messages_come_out_whole_and_in_order_wherever_the_stream_is_cut(
    sent: list[tuple[bytes, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(noise + framed(message) for noise, message in sent)
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[start:end] for start, end in pairwise(places)]
    assert taken(*pieces) == [message for _, message in sent]


@given(st.lists(messages, min_size=1, max_size=4))
def test_a_stream_that_arrives_byte_by_byte_is_the_same_stream(sent: list[bytes]) -> None:
    stream = b"".join(map(framed, sent))
    assert taken(*(bytes([each]) for each in stream)) == sent


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_no_bytes_break_the_framing_and_what_comes_after_them_is_read(noise: list[bytes]) -> None:
    blocks = Blocks(10_000)
    for piece in noise:
        list(blocks.take(piece))
    *_, last = blocks.take(framed(b"MSH|x"))
    assert last == b"MSH|x"


@pytest.mark.parametrize("end", [b"\x1c\r", b"\x1c\n", b"\x1c\r\n"])
def test_a_block_may_end_by_a_line_feed_instead(end: bytes) -> None:
    assert taken(b"\x0bone" + end + b"\x0btwo" + end) == [b"one", b"two"]


def test_the_next_block_ends_one_whose_carriage_return_is_missing() -> None:
    assert taken(b"\x0bone\x1c\x0btwo\x1c\r") == [b"one", b"two"]


def test_a_stray_separator_does_not_cut_a_message_in_two() -> None:
    assert taken(b"\x0bone\x1cstill one\x1c\r") == [b"one\x1cstill one"]


def test_a_message_that_was_given_up_is_begun_anew() -> None:
    assert taken(b"\x0bgiven u\x0bgiven up\x1c\r") == [b"given up"]


def test_a_block_without_an_end_is_refused_as_soon_as_it_is_too_long() -> None:
    blocks = Blocks(MAX)
    assert list(blocks.take(b"\x0b" + b"x" * MAX)) == []
    assert blocks.is_within
    with pytest.raises(EndlessBlockError) as refused:
        list(blocks.take(b"xx"))
    assert refused.value.begun == b"x" * (MAX + 1)


def test_a_message_of_just_the_limit_is_read_and_one_byte_more_is_not() -> None:
    assert taken(framed(b"x" * MAX)) == [b"x" * MAX]
    with pytest.raises(EndlessBlockError):
        taken(framed(b"x" * (MAX + 1)))
