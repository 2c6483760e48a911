"""Reads a ticket of slotjax, by FORMAT.md, with NumPy and the standard library alone; to be copied into any project.

python reader.py NETWORK.ticket WEIGHTS.npz            every array, under its path (bfloat16 as its bits)
python reader.py --flat NETWORK.ticket NETWORK.flat    what decoder.c reads, with flat.py beside this file
"""

import functools
import hashlib
import json
import math
import os
import runpy
import stat
import sys
import zlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

TILE, MOST_OPTIONS, MOST_INFLATION = 2**14, 2**24, 32  # connections at a time; deflated indices over their stream
STEPS = {"uniform": 2.0**-19, "normal": 2.0**-16, "signed_constant": 1.0, "uniform_sign": 1.0, "bell": 2.0**-9}
STEPS, MOST_STRATA, GOLD = {**STEPS, "stratified": 2.0**-19}, 2**12, np.uint32(0x9E3779B9)
FLOATS = {"float64": 1024, "float32": 128, "bfloat16": 128, "float16": 16}  # values are below 2 to that power
STORED = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "C64": "<c8", "BOOL": "?"}
STORED |= {f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)}
NATIVE = {np.dtype(code).name for code in STORED.values()}
BYTES = ("float8_", "float6_", "float4_", "int4", "uint4", "int2", "uint2")  # dtypes of one byte, by their beginning


class Leaf(NamedTuple):
    """An array: its path with its collection, its dtype, and what it is made of; `entry` is empty if it is stored."""

    path: str
    dtype: str
    shape: tuple[int, ...]
    entry: dict[str, Any]
    data: np.ndarray
    options: Any = None

    def values(self) -> np.ndarray:
        """The array, in the bits of a dtype that NumPy lacks; a ValueError if an index is not below k."""
        if not self.entry:
            return self.data
        k, zero, is_multiple = self.entry["k"], "zero" in self.entry, "multiples" in self.entry
        dtype = (_narrow(np.zeros(0), self.dtype) if self.options is None else self.options).dtype
        weight = np.empty(math.prod(self.shape), dtype)
        for start, index in self.tiles():
            option, factor = (index > 0, index) if is_multiple else (index, self.entry.get("factor", 1.0))
            made = (self._drawn if self.options is None else self._taken)(start, np.minimum(option, k - 1))
            values = made if np.all(factor == 1) else _times(made, factor, self.dtype)
            weight[start : start + index.size] = np.where(index == (0 if zero else k), np.zeros((), dtype), values)
        return weight.reshape(self.shape)

    def tiles(self) -> Iterator[tuple[int, np.ndarray]]:
        """The number of the first connection of a tile, and the index of each; k where it is 0 and no option is."""
        k, zero, count, used, packed = self.entry["k"], "zero" in self.entry, math.prod(self.shape), 0, self.packed()
        for start in range(0, count, TILE):
            pruned, free = frozen(self.entry, start, min(TILE, count - start))
            size = bits_per_index(k) * int(free.sum())
            tile = np.frombuffer(packed, np.uint8)[used // 8 : -(-(used + size) // 8)]
            digits = np.unpackbits(tile)[used % 8 :][:size].reshape(-1, bits_per_index(k))
            index = np.where(pruned, 0 if zero else k, int(zero)).astype(np.uint32)
            index[free] = chosen = digits @ (1 << np.arange(digits.shape[1], dtype=np.uint32)[::-1])
            if (chosen >= k).any():
                raise ValueError(f"an index of {self.path} is {chosen.max()}, but k is {k}")
            yield start, index
            used += size

    def packed(self) -> bytes:
        """The indices, as many bits each as they need."""
        packed, free = self.data.tobytes(), unfrozen({"shape": [*self.shape], **self.entry}, self.data.size)
        count = free * bits_per_index(self.entry["k"])
        if "packing" in self.entry:
            stream, size = zlib.decompressobj(), -(-count // 8)
            packed = stream.decompress(packed, size + 1)
            if len(packed) != size or not stream.eof or stream.unused_data.strip(b"\0"):
                raise ValueError(f"the indices of {self.path} are not {size} bytes, deflated")
        if count % 8 and packed[-1] << count % 8 & 0xFF:
            raise ValueError(f"the last byte of the indices of {self.path} is not filled with zeros")
        return packed

    def _taken(self, start: int, index: np.ndarray) -> np.ndarray:
        rows, zero = self.options.reshape(len(self.options), -1), "zero" in self.entry
        return rows[np.maximum(index, zero) - zero, start + np.arange(index.size) if rows.shape[1] > 1 else 0]

    def _drawn(self, start: int, index: np.ndarray) -> np.ndarray:
        kind, signed = self.entry["kind"], ("normal", "signed_constant")
        bits = random_bits(self.entry["seed"], start, index.astype("u4"), self.entry["k"] * (kind == "stratified"))
        unit = 1 - 2 * (bits >> 31).astype(np.int32) if kind in signed else bits.view(np.int32) >> 12
        unit = np.sign(unit) if kind == "uniform_sign" else unit
        unit = bits.astype("<u4").view("u1").reshape(-1, 4).sum(1, "int32") - 510 if kind == "bell" else unit
        unit = unit * quantiles()[bits >> 19 & 0xFFF] if kind == "normal" else unit
        compute = np.dtype("float64" if self.dtype == "float64" else "float32")
        return _narrow(unit.astype(compute) * compute.type(self.entry["scale"] * STEPS[kind]), self.dtype)


def read_bytes(path: str | Path) -> bytes:
    """The bytes of a file; a ValueError for a pipe, which would be waited for without O_NONBLOCK."""
    with open(path, "rb", opener=lambda path, flags: os.open(path, flags | getattr(os, "O_NONBLOCK", 0))) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is not a regular file")
        return file.read()


def parse(data: bytes) -> tuple[dict[str, Any], list[Leaf]]:
    """The description of a ticket, and its arrays, not yet made; a ValueError if it is damaged, cut off or foreign."""
    try:
        content, tensors, _ = container(data)
        if content["format"] not in (2, 3, 4) or type(content["format"]) is not int:
            raise ValueError(f"its format is {content['format']!r}, but it must be 2, 3 or 4; slotjax also reads 1")
        if not tensors.pop("sha256").tobytes() == data[-32:] == hashlib.sha256(data[:-32]).digest():
            raise ValueError("its checksum does not match, so it is damaged")
        return content, leaves(content, tensors)
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise ValueError(f"its parts do not fit together ({error!r})") from error


def container(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray], str]:
    """The description in a safetensors file, its tensors, and the description as it is written."""
    if not 10 <= (start := 8 + int.from_bytes(data[:8], "little")) <= len(data):
        raise ValueError("it is cut off, or not a slotjax ticket")
    header = json.loads(data[8:start].decode())
    if set(texts := header.pop("__metadata__", {})) != {"slotjax"}:
        raise ValueError("it is not a slotjax ticket")
    return json.loads(texts["slotjax"]), _tensors(header, memoryview(data)[start:]), texts["slotjax"]


def _tensors(header: dict[str, Any], data: memoryview) -> dict[str, np.ndarray]:
    tensors, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        _check_fields(entry, {"dtype", "shape", "data_offsets"})
        dtype, (start, stop), count = np.dtype(STORED[entry["dtype"]]), entry["data_offsets"], _count(entry["shape"])
        if start != end or stop - start != count * dtype.itemsize or stop > len(data):
            raise ValueError(f"{name} does not fit into it, so it is damaged")
        tensors[name], end = np.frombuffer(data, dtype, count, start).reshape(entry["shape"]), stop
    if end != len(data):
        raise ValueError("it has data that nothing describes, so it is damaged")
    return tensors


def _count(shape: Any) -> int:
    if not isinstance(shape, list) or any(type(size) is not int or not 0 <= size < 2**63 for size in shape):
        raise ValueError(f"a shape is {shape!r}, but it must be a list of sizes")
    return math.prod(shape)


def leaves(content: dict[str, Any], tensors: dict[str, np.ndarray]) -> list[Leaf]:
    """The arrays that a description makes of tensors, checked."""
    _check_fields(content, {"format", "selector", "weights", "arrays", "metadata"}, {"proof", "trees"})
    objects = {type(content.get(name, {})) for name in ("metadata", "selector", "trees")}
    if objects != {dict} or type(content.get("proof", "")) is not str:
        raise ValueError("its metadata, selector, trees or proof are of a wrong type")
    weights, arrays = content["weights"], content["arrays"]
    expected = {f"index/{name}" for name in weights} | {f"array/{name}" for name in arrays}
    expected |= {f"options/{name}" for name, entry in weights.items() if "seed" not in entry}
    if set(tensors) != expected:
        raise ValueError(f"its tensors are {sorted(tensors)}, but they must be {sorted(expected)}")
    _check_paths([*(f"params/{name}" for name in weights), *arrays])
    made = []
    for name, entry in weights.items():
        parts = tensors[f"index/{name}"], tensors.get(f"options/{name}")
        _check_weight(entry, *parts, content["format"])
        made.append(Leaf(f"params/{name}", entry["dtype"], tuple(entry["shape"]), entry, *parts))
    for name, dtype in arrays.items():
        check_stored(dtype, tensors[f"array/{name}"])
        made.append(Leaf(name, dtype, tensors[f"array/{name}"].shape, {}, tensors[f"array/{name}"]))
    return made


def _check_fields(entry: Any, needed: set[str], more: Collection[str] = ()) -> None:
    if not isinstance(entry, dict) or not needed <= set(entry) <= needed.union(more):
        raise ValueError(f"its fields are {sorted(entry)}, but they must be {sorted(needed)}, or also {sorted(more)}")


def _check_paths(names: list[str]) -> None:
    for one, other in zip(paths := sorted(name.rstrip("/").split("/") for name in names), paths[1:], strict=False):
        if other[: len(one)] == one:
            raise ValueError(f"{'/'.join(other)} would overwrite {'/'.join(one)}")


def check_stored(dtype: str, array: np.ndarray) -> None:
    """Raises unless a tensor is one that an array of a dtype is stored as."""
    bits = {"bfloat16": "uint16"}.get(dtype, "uint8" if dtype.startswith(BYTES) else "unknown")
    if array.dtype.name != (dtype if dtype in NATIVE else bits) or (dtype == "bool" and (array.view("u1") > 1).any()):
        raise ValueError(f"an array of {dtype} is stored as {array.dtype}, or in values that it does not have")


def _check_weight(entry: dict[str, Any], packed: np.ndarray, options: np.ndarray | None, version: int) -> None:
    seeded, marks = {"seed", "kind", "scale"} if options is None else set(), ["zero", *["multiples"] * (version > 2)]
    _check_fields(entry, {"shape", "dtype", "k"} | seeded, {"factor", "packing", *marks, *["frozen"] * (version > 2)})
    k, zero, multiples, count = entry["k"], "zero" in entry, "multiples" in entry, unfrozen(entry, packed.size)
    is_known = all(entry.get(mark, True) is True for mark in marks) and entry.get("packing", "deflate") == "deflate"
    if type(k) is not int or not 1 <= k <= MOST_OPTIONS or not is_known or multiples > (zero and "factor" not in entry):
        raise ValueError(f"k is {k!r}, zero {entry.get('zero')!r} and packing {entry.get('packing')!r}; see FORMAT.md")
    size = -(-count * bits_per_index(k) // 8)
    least = -(-size // MOST_INFLATION) if "packing" in entry else size
    if packed.dtype != np.uint8 or packed.ndim != 1 or not least <= packed.size <= size:
        raise ValueError(f"a weight of shape {entry['shape']} has {packed.size} bytes of indices")
    if options is None:
        in_range = [type(word) is int and 0 <= word < 2**32 for word in entry["seed"]]
        kinds = [*STEPS][: (3, 5, 6 - (zero or k > MOST_STRATA))[version - 2]]
        if entry["kind"] not in kinds or in_range != [True, True]:
            raise ValueError(f"a kind is {entry['kind']!r} and a seed {entry['seed']!r}; see FORMAT.md")
    elif options.shape not in ((1 if multiples else k - zero, *entry["shape"]), *([] if zero else [(k,)])):
        raise ValueError(f"a weight of shape {entry['shape']} has options of shape {options.shape}")
    else:
        check_stored(entry["dtype"], options)
    if options is None or "factor" in entry or multiples:
        check_scale(entry.get("scale", 0.0), entry["dtype"], float(k - 1) if multiples else entry.get("factor", 1.0))


def check_scale(scale: Any, dtype: str, factor: Any = 1.0) -> None:
    """Raises for numbers with which a value could be infinite, subnormal or of more bits than its dtype has."""
    if dtype not in FLOATS or type(scale) is not float or type(factor) is not float:
        raise ValueError(f"values of {dtype} cannot be computed from scale {scale!r} and factor {factor!r}")
    most, numbers = 2.0 ** (FLOATS[dtype] - 2), (scale, scale * factor)
    if not 0 < factor < 2.0**64 or (scale and not all(2.0**-100 <= abs(number) <= most for number in numbers)):
        raise ValueError(f"scale {scale} and factor {factor} are beyond the numbers of {dtype}")


def frozen(entry: dict[str, Any], start: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of so many connections from `start` are 0 for ever, and which have an index."""
    share, zeros = entry.get("frozen", {"pruned": 0, "kept": 0}), np.zeros(size, np.uint32)
    bits = random_bits(share["seed"], start, zeros) if "seed" in share else zeros
    return bits < share["pruned"], bits >= share["pruned"] + share["kept"]


def unfrozen(entry: dict[str, Any], size: int) -> int:
    """How many connections of a weight have an index; -1, if it is too many for that many bytes of a file."""
    count = _count(entry["shape"])
    if "frozen" not in entry:
        return count
    _check_fields(share := entry["frozen"], {"seed", "pruned", "kept"})
    words = [*share["seed"], *(shares := [share["pruned"], share["kept"]])]
    in_range = [type(word) is int and 0 <= word < 2**32 for word in words] == [True] * 4
    if not in_range or sum(shares) > 31 * 2**27 or "factor" in entry:
        raise ValueError(f"a frozen share is {share!r}; see FORMAT.md")
    if count * (2**32 - sum(shares)) >> 33 > 8 * MOST_INFLATION * (size + 1):
        return -1
    return sum(int(frozen(entry, at, min(TILE, count - at))[1].sum()) for at in range(0, count, TILE))


def bits_per_index(k: int) -> int:
    """Bits for an index from 0 to k - 1: ceil(log2 k), and 1 for a single option, so that size says the count."""
    return max(1, (k - 1).bit_length())


def random_bits(seed: Sequence[int], start: int, option: np.ndarray, strata: int = 0) -> np.ndarray:
    """32 random bits for the option that each connection, numbered from `start`, names; in its part of so many."""
    first, second = (np.uint32(word) for word in seed)
    low, high = (start + np.arange(option.size, dtype=np.uint64)).view("<u4").reshape(-1, 2).T
    connection = _mix(_mix(low ^ first) ^ second ^ _mix(high))
    if strata:
        return ((option << 20 | _mix(connection ^ option * GOLD) >> 12) // np.uint32(strata) << 12) ^ np.uint32(2**31)
    multiplier, increment = (_mix(_mix((2 * option + word) ^ second) + first) for word in (GOLD, GOLD + np.uint32(1)))
    return ((word := connection * (multiplier | np.uint32(1)) + increment) ^ word >> 15) * np.uint32(0x846CA68B)


def _mix(word: np.ndarray) -> np.ndarray:
    word = (word ^ (word >> 16)) * np.uint32(0x7FEB352D)
    word = (word ^ (word >> 15)) * np.uint32(0x846CA68B)
    return word ^ (word >> 16)


@functools.cache
def quantiles() -> np.ndarray:
    """The middle quantiles of |N(0, 1)| in 4,096 equally likely parts, in multiples of 2^-16."""
    return np.array([round(NormalDist().inv_cdf(0.5 + (part + 0.5) / 8192) * 2**16) for part in range(4096)], np.int32)


def _narrow(values: Any, dtype: str) -> np.ndarray:
    """Computed values rounded to the nearest of a dtype, the even one in a tie."""
    if dtype != "bfloat16":
        return values.astype(dtype)
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def _times(values: Any, factor: Any, dtype: str) -> np.ndarray:
    wide = values.astype("u4" if dtype == "bfloat16" else f"f{max(4, values.itemsize)}")
    wide = (wide << 16).view("f4") if dtype == "bfloat16" else wide
    with np.errstate(over="ignore"):
        return _narrow(wide * np.asarray(factor, wide.dtype), dtype)


if __name__ == "__main__":
    try:
        if sys.argv[1:2] in (["--flat"], ["--quantiles"]):
            sys.modules["reader"] = sys.modules["__main__"]  # which flat.py, beside this file, imports
            runpy.run_path(str(Path(__file__).with_name("flat.py")))["main"](sys.argv[1:])
        elif len(sys.argv) == 3 and not sys.argv[1].startswith("-"):
            arrays = parse(read_bytes(sys.argv[1]))[1]
            np.savez(sys.argv[2], **dict[str, Any]((leaf.path, leaf.values()) for leaf in arrays))
        else:
            sys.exit(__doc__)
    except (OSError, ValueError, zlib.error) as error:
        sys.exit(f"error: {error}")
