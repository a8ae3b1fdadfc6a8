"""Walks through bytes from anybody."""

import zlib

from fedvox.errors import CodecError

CHECK = 4


class Reader:
    """Hands out the bytes of a message in order, without copying them.

    Args:
        data: a message that ends in its CRC-32.

    Raises:
        CodecError: the check sum is not that of the bytes.
    """

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)[:-CHECK]
        if zlib.crc32(self._data) != int.from_bytes(data[-CHECK:], "little"):
            raise CodecError("the message is damaged (check sum); send it again")

    @property
    def left(self) -> int:
        """Bytes that nobody took yet."""
        return len(self._data)

    def take(self, count: int) -> memoryview:
        """The next bytes.

        Raises:
            CodecError: there are fewer.
        """
        if count > len(self._data):
            raise CodecError("the message is cut off; send it again")
        taken, self._data = self._data[:count], self._data[count:]
        return taken
