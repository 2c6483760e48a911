"""Command lines: flags drawn from their declarations, and what nobody means to give."""

import os

from absl import flags
from hypothesis import strategies as st

from experiments.configuration.choices import CHOICES

WHOLE = (-1, 0, 1, 2, 3, 2**16 + 1, 2**31 - 1, 2**31, 2**32, 2**63, -(2**63), 10**15, 10**18, 10**30, 10**400)
WHOLE = tuple(map(str, WHOLE))
BROKEN = ("0.5", "1.0", "1e15", "-1e15", "1e-300", "1e-45", "1e308", "1e400", "nan", "inf", "-inf", "-0.0")
TEXTS = ("", " ", ",", "1,", "2,1", "1,1", "-3,4", "1,9e9", "é", "²", "٣", "💥", "a\nb", "\x1b[2J", "x" * 300, "None")
PATHS = ("new", "new/deeper", "file", "file/below", "kept", ".", "..", "./new/", "npz:", "npz:file", "kept@1", "kept@²")
PLACES = ("localhost:0", "localhost:80", "localhost:99999999", "[::1]:80", "localhost:-1", ":", "localhost:²")
BYTES = (os.fsdecode(b"\xff"), "\0", "9" * 5000)
ALL = (*WHOLE, *BROKEN, *TEXTS, *PATHS, *PLACES, *BYTES)
EXTREMES = {"int": WHOLE, "float": (*WHOLE, *BROKEN), "bool": ("true", "false")}


def command_lines(define, base=(), without=(), sizes=3):
    """Flags of a program, some of them several times, after `base`: most with a value that they declare.

    Args:
        define: the program's own function that defines its flags.
        base: flags that every command line has.
        without: flags that none has.
        sizes: what numbers without a bound go up to where they are not nonsense.
    """
    values = flags.FlagValues()
    define(values)
    names = [name for name in values if name not in without]
    one = st.sampled_from(names).flatmap(lambda name: _given(values[name], sizes))
    return st.lists(one, min_size=1, max_size=5).map(lambda lines: [*base, *lines])


def _given(flag, sizes):
    """A flag with a value as it should be, with one of its type that it should not be, or with anything."""
    extremes = EXTREMES.get(flag.flag_type(), (*TEXTS, *PATHS, *PLACES, *WHOLE))
    values = st.one_of(_declared(flag, sizes), st.sampled_from(extremes), st.sampled_from(ALL))
    return values.map(lambda value: f"--{flag.name}={value}")


def _declared(flag, sizes):
    """Texts of values that the flag's declaration allows."""
    parser = flag.parser
    lower, upper = (getattr(parser, f"{end}_bound", None) for end in ("lower", "upper"))
    if flag.name in CHOICES or hasattr(parser, "enum_values"):
        return st.sampled_from(CHOICES.get(flag.name) or parser.enum_values)
    if flag.flag_type() == "bool":
        return st.sampled_from(("true", "false"))
    if flag.flag_type() == "int":
        return st.integers(1 if lower is None else lower, sizes if upper is None else upper).map(str)
    if flag.flag_type() == "float":
        return st.floats(0 if lower is None else lower, 1 if upper is None else upper).map(str)
    return st.sampled_from((str(flag.value), *PATHS))
