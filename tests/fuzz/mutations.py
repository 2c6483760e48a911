"""Files that are nearly what they should be."""

import copy
import json
import math

from hypothesis import strategies as st

JUNK = (
    *(None, True, False, 0, -1, 1, 2, 3, 8, 2**31, 2**63, -(2**63), 10**30, 10**400),
    *(0.5, -0.5, 1e-300, 1e308, math.nan, math.inf, -math.inf),
    *("", "é", "nan", "1", "x" * 300, "\0", "\x1b[2J", "a\nb", "\ud800", "../x", "lenet", "conv2", "SAME", "float32"),
    *([], [[]], [1], [0], [-1], [None], ["a"], [1, 2, 3], [28, 28, 1], {}, {"": None}, {"a": {"b": []}}),
)


@st.composite
def changed_bytes(draw, content):
    """The bytes with a few bits flipped, cut off, doubled, moved or overwritten."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.integers(1, 40))
        kind = draw(st.sampled_from(("flip", "cut", "drop", "double", "overwrite", "append", "zero")))
        part = data[at : at + length]
        if kind == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del data[at:]
        elif kind == "drop":
            del data[at : at + length]
        elif kind == "double":
            data[at:at] = part
        elif kind == "overwrite":
            data[at : at + length] = draw(st.binary(min_size=len(part), max_size=len(part)))
        elif kind == "append":
            data += draw(st.binary(max_size=length))
        else:
            data[at : at + length] = bytes(len(part))
    return bytes(data)


@st.composite
def changed_json(draw, content):
    """JSON content in which a few entries are of other types, missing, renamed, or too many."""
    content = {"": copy.deepcopy(content)}
    for _ in range(draw(st.integers(1, 3))):
        holder, at = draw(st.sampled_from(list(_places(content))))
        kind = draw(st.sampled_from(("junk", "junk", "junk", "remove", "add", "swap")))
        if kind == "remove" and holder is not content:
            del holder[at]
        elif kind == "add" and isinstance(holder[at], dict):
            holder[at][draw(st.sampled_from(("", "k", "é", "extra", "settings")))] = _junk(draw)
        elif kind == "swap":
            other, there = draw(st.sampled_from(list(_places(content))))
            holder[at] = copy.deepcopy(other[there])
        else:
            holder[at] = _junk(draw)
    return content[""]


def changed_file(content):
    """The bytes of a JSON file, whose content or whose text is changed."""
    whole = json.dumps(content).encode()
    return st.one_of(changed_json(content).map(as_bytes), changed_json(content).map(as_bytes), changed_bytes(whole))


def changed_lines(records):
    """The bytes of a file of JSON lines, of which one is changed, or the bytes are."""
    whole = b"".join(json.dumps(record).encode() + b"\n" for record in records)

    def one_changed(at):
        before, after = (b"".join(as_bytes(r) + b"\n" for r in part) for part in (records[:at], records[at + 1 :]))
        return changed_json(records[at]).map(lambda record: before + as_bytes(record) + b"\n" + after)

    return st.one_of(st.integers(0, len(records) - 1).flatmap(one_changed), changed_bytes(whole))


def as_bytes(content):
    return json.dumps(content).encode()


def _junk(draw):
    return copy.deepcopy(draw(st.one_of(st.sampled_from(JUNK), st.integers(), st.floats(), st.text(max_size=4))))


def _places(content):
    """Every entry, as what holds it and its name there."""
    for name, value in content.items() if isinstance(content, dict) else enumerate(content):
        yield content, name
        if isinstance(value, dict | list):
            yield from _places(value)
