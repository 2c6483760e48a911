"""Indices packed into as few bits as they need."""

import functools
import itertools
import zlib

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Int32, Integer, UInt8, UInt32

from slotjax.tickets.reader import MOST_INFLATION

_PART = 2**16  # indices at a time, because unpacked ones take 32 bytes each
_WORTH = 0.9  # of the size, below which deflated indices are stored instead


def pack(index: Int[np.ndarray, "*shape"], bits: int) -> UInt8[np.ndarray, " bytes"]:
    """Indices in row-major order, `bits` each, most significant first; the last byte is filled with zeros."""
    flat = index.reshape(-1)
    parts = [_pack(flat[start : start + _PART], bits) for start in range(0, flat.size, _PART)]
    return np.concatenate([np.zeros(0, np.uint8), *parts])


def planes(index: Integer[np.ndarray, "*shape"], bits: int) -> UInt32[np.ndarray, "bits words"]:
    """Indices for programs: plane p holds bit p of each, and bit r of its word w is that of connection `r words + w`.

    Neighbouring connections lie in neighbouring words, so that processors take many at a time out of `planes`.
    """
    words = -(-index.size // 32)
    rows = np.pad(index.reshape(-1), (0, 32 * words - index.size)).reshape(32, words)
    planes = np.zeros((bits, words), np.uint32)
    for plane, row in itertools.product(range(bits), range(32)):
        planes[plane] |= (rows[row].astype(np.uint32) >> plane & 1) << row
    return planes


def unpack_planes(planes: UInt32[Array, "bits words"], count: int) -> Int32[Array, " count"]:
    """The first `count` of the indices that `planes` packed, in operations that XLA fuses with their use."""
    row = jax.lax.iota(jnp.uint32, 32)[:, None]
    places = [((plane[None] >> row) & 1) << jnp.uint32(place) for place, plane in enumerate(planes)]
    return functools.reduce(jnp.bitwise_or, places).astype(jnp.int32).reshape(-1)[:count]


def deflated(packed: UInt8[np.ndarray, " bytes"]) -> UInt8[np.ndarray, " fewer"] | None:
    """The same in fewer bytes, or None if that saves less than a tenth."""
    streams = (_deflated(packed, strategy) for strategy in (zlib.Z_HUFFMAN_ONLY, zlib.Z_DEFAULT_STRATEGY))
    # Filled up, because a reader refuses what would grow beyond measure.
    stream = min(streams, key=len).ljust(-(-packed.size // MOST_INFLATION), b"\0")
    return np.frombuffer(stream, np.uint8) if len(stream) < _WORTH * packed.size else None


def _deflated(packed: np.ndarray, strategy: int) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9, strategy)
    return stream.compress(packed.tobytes()) + stream.flush()


def _pack(index: np.ndarray, bits: int) -> np.ndarray:
    words = index.reshape(-1, 1).astype(">u4").view(np.uint8)
    return np.packbits(np.unpackbits(words, axis=1)[:, 32 - bits :])
