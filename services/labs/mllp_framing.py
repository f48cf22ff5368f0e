"""Decides where a message begins and ends in a stream of bytes: MLLP, the minimal lower layer protocol of HL7.

A block is VT, the message, FS, CR (HL7 v2 appendix C; MLLP release 1). Between blocks anything may stand and is passed
over. FS ends a block where CR, LF or the VT of the next block follows. Any other FS belongs to the message, so that a
stray one cannot cut a message in two of which the first is acknowledged. A VT inside a block begins it anew: the
sender gave up the one before, which was never acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterator

START_OF_BLOCK = b"\x0b"
END_OF_BLOCK = b"\x1c"
CARRIAGE_RETURN = b"\r"

_ENDS = (ord("\r"), ord("\n"), ord(START_OF_BLOCK))


def framed(message: bytes) -> bytes:
    """The block of a message."""
    return START_OF_BLOCK + message + END_OF_BLOCK + CARRIAGE_RETURN


class EndlessBlockError(Exception):
    """A block that is longer than any message may be. `begun` is what came of it."""

    def __init__(self, begun: bytes) -> None:
        super().__init__(f"more than {len(begun) - 1} bytes without an end")
        self.begun = begun


class Blocks:
    """Takes bytes as they arrive, in pieces of any size, and gives the messages that are complete."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._begun: bytearray | None = None
        self._searched = 0

    @property
    def is_within(self) -> bool:
        """Whether a block has begun and not ended."""
        return self._begun is not None

    def take(self, piece: bytes) -> Iterator[bytes]:
        """The messages that the piece completes, in order; the iterator has to be used up.

        Raises EndlessBlockError once a block is longer than `bytes_max`; nothing is read after that.
        """
        while piece:
            if self._begun is None:
                _, start, piece = piece.partition(START_OF_BLOCK)
                if start:
                    self._begin()
                continue
            self._begun += piece
            piece = b""
            end = self._end()
            if end is not None:
                # Of FS and what follows, a VT begins the next block.
                message, piece = bytes(self._begun[:end]), bytes(self._begun[end + 1 :])
                self._begun = None
                if len(message) > self._bytes_max:
                    raise EndlessBlockError(message[: self._bytes_max + 1])
                yield message
            elif len(self._begun) > self._bytes_max + 1:
                raise EndlessBlockError(bytes(self._begun[: self._bytes_max + 1]))

    def _begin(self) -> None:
        self._begun, self._searched = bytearray(), 0

    def _end(self) -> int | None:
        """Where the FS stands that ends the block; what stood before a VT inside it is dropped."""
        begun = self._begun
        if begun is None:
            return None
        while True:
            at = begun.find(END_OF_BLOCK, self._searched)
            anew = begun.rfind(START_OF_BLOCK, self._searched, at if at >= 0 else len(begun))
            if anew >= 0:
                del begun[: anew + 1]
                self._searched = 0
                continue
            if at < 0 or at + 1 == len(begun):
                self._searched = len(begun) if at < 0 else at
                return None
            if begun[at + 1] in _ENDS:
                return at
            self._searched = at + 1
