"""Bytes as the format's conventions read them (section 1), and what goes wrong with them."""

import struct
import zlib

FEW_PATTERNS = 15
"""As many special patterns as versions before 7 have room for."""


class Corrupt(ValueError):
    """The bytes break the format."""


class Unsupported(ValueError):
    """The bytes are of a version, way, content, bound or method that this decoder does not know."""


class NeedsModel(RuntimeError):
    """Values that only a model's graphs can give. All that can be decoded without them has been, and was sound."""


def crc(data: bytes) -> int:
    """CRC-32 as in zlib."""
    return zlib.crc32(data)


def require(condition: object, message: str) -> None:
    """Refuses bytes for which `condition` does not hold."""
    if not condition:
        raise Corrupt(message)


class Reader:
    """A cursor over bytes that refuses to read past their end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, count: int) -> bytes:
        require(count <= self.left(), f"{count} bytes are wanted where {self.left()} are left")
        self.at += count
        return self.data[self.at - count : self.at]

    def u8(self) -> int:
        return self.take(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "little")

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def i16(self) -> int:
        return int.from_bytes(self.take(2), "little", signed=True)

    def i64(self) -> int:
        return int.from_bytes(self.take(8), "little", signed=True)

    def f64(self) -> float:
        return struct.unpack("<d", self.take(8))[0]

    def varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self.u8()
            value |= (byte & 127) << shift
            if byte < 128:
                require(value < 1 << 64, "a varint has more than 64 bits")
                return value
        raise Corrupt("a varint has more than 64 bits")

    def count(self, least: int) -> int:
        """A varint that counts things of `least` bytes each, which must be there."""
        count = self.varint()
        require(count * least <= self.left(), f"{count} things of {least} bytes are named where {self.left()} are left")
        return count

    def text(self) -> str:
        """A varint length and as many bytes of UTF-8."""
        data = self.take(self.varint())
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Corrupt(f"a text is not UTF-8: {error}") from None

    def done(self, what: str) -> None:
        require(self.left() == 0, f"{self.left()} bytes follow {what}")
