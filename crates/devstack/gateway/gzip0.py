"""Gzip as a server makes it of an answer: in pieces, on any level."""

import struct
import zlib

_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
# What a block of deflate that is not compressed can hold, and what stands in front of it.
_MOST = 0xFFFF
_BEFORE = 5


class Gzip:
    """One answer.

    Level 0 is written here, RFC 1951 section 3.2.4: Python's zlib takes several times as long for it as a
    server's does, and would be what a measurement measures.
    """

    def __init__(self, level: int):
        self._crc = self._length = 0
        self._zlib = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS) if level else None
        self._head = _HEAD
        self._out = bytearray()

    def pack(self, piece: memoryview) -> "bytes | memoryview":
        """Returns all of the piece, packed, such that it can be unpacked without what follows.

        What is returned may change with the next piece.
        """
        self._crc = zlib.crc32(piece, self._crc)
        self._length += len(piece)
        head, self._head = self._head, b""
        if self._zlib:
            return head + self._zlib.compress(piece) + self._zlib.flush(zlib.Z_SYNC_FLUSH)
        blocks = -(-len(piece) // _MOST)
        length = len(head) + len(piece) + blocks * _BEFORE
        if len(self._out) < length:
            self._out = bytearray(length)
        self._out[: len(head)] = head
        at = len(head)
        for start in range(0, len(piece), _MOST):
            block = piece[start : start + _MOST]
            struct.pack_into("<BHH", self._out, at, 0, len(block), len(block) ^ _MOST)
            self._out[at + _BEFORE : at + _BEFORE + len(block)] = block
            at += _BEFORE + len(block)
        return memoryview(self._out)[:length]

    def finish(self) -> bytes:
        """Returns what comes behind the last piece."""
        end = self._zlib.flush() if self._zlib else b"\x01\x00\x00\xff\xff"
        return self._head + end + struct.pack("<II", self._crc, self._length & 0xFFFFFFFF)
