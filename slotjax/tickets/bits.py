"""Indices packed into as few bits as they need."""

import numpy as np
from jaxtyping import Int, UInt8

_PART = 2**16  # indices at a time, because unpacked ones take 32 bytes each


def bits_per_index(k: int) -> int:
    """Bits for an index from 0 to `k - 1`: ceil(log2 k), and 1 for a single option, so that size says the count."""
    return max(1, (k - 1).bit_length())


def pack(index: Int[np.ndarray, "*shape"], bits: int) -> UInt8[np.ndarray, " bytes"]:
    """Indices in row-major order, `bits` each, most significant first; the last byte is filled with zeros."""
    flat = index.reshape(-1)
    parts = [_pack(flat[start : start + _PART], bits) for start in range(0, flat.size, _PART)]
    return np.concatenate([np.zeros(0, np.uint8), *parts])


def unpack(packed: UInt8[np.ndarray, " bytes"], bits: int, count: int) -> Int[np.ndarray, " count"]:
    """The first `count` indices that `pack` packed."""
    index, size = np.empty(count, np.int32), _PART * bits // 8
    for part in range(-(-count // _PART)):
        here = index[part * _PART : (part + 1) * _PART]
        here[:] = _unpack(packed[part * size : (part + 1) * size], bits, here.size)
    return index


def _pack(index: np.ndarray, bits: int) -> np.ndarray:
    words = index.reshape(-1, 1).astype(">u4").view(np.uint8)
    return np.packbits(np.unpackbits(words, axis=1)[:, 32 - bits :])


def _unpack(packed: np.ndarray, bits: int, count: int) -> np.ndarray:
    words = np.zeros((count, 32), np.uint8)
    words[:, 32 - bits :] = np.unpackbits(packed, count=count * bits).reshape(count, bits)
    return np.packbits(words, axis=1).view(">u4").reshape(count)
