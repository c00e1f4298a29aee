"""Gzip as a server makes it of an answer: in pieces, on any level."""

import struct

# What a server packs with; Python's own is several times slower.
from zlib_ng import zlib_ng

_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
# What a block of deflate that is not compressed can hold.
_MOST = 0xFFFF


class Gzip:
    """One answer.

    Level 0 is written here, RFC 1951 section 3.2.4, and copies nothing: copying would be what a measurement
    measures.
    """

    def __init__(self, level: int):
        self._crc = self._length = 0
        self._deflate = zlib_ng.compressobj(level, zlib_ng.DEFLATED, -zlib_ng.MAX_WBITS) if level else None
        self._head = _HEAD

    def pack(self, piece: memoryview) -> "list[bytes | memoryview]":
        """Returns all of the piece, packed, such that it can be unpacked without what follows."""
        self._crc = zlib_ng.crc32(piece, self._crc)
        self._length += len(piece)
        packed, self._head = [self._head], b""
        if self._deflate:
            packed += [self._deflate.compress(piece), self._deflate.flush(zlib_ng.Z_SYNC_FLUSH)]
            return packed
        for start in range(0, len(piece), _MOST):
            block = piece[start : start + _MOST]
            packed += [struct.pack("<BHH", 0, len(block), len(block) ^ _MOST), block]
        return packed

    def finish(self) -> "list[bytes]":
        """Returns what comes behind the last piece."""
        end = self._deflate.flush() if self._deflate else b"\x01\x00\x00\xff\xff"
        return [self._head, end, struct.pack("<II", self._crc, self._length & 0xFFFFFFFF)]
