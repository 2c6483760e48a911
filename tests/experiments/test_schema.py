"""What is read from disk is checked against a declared type, and what is wrong is one sentence."""

import dataclasses
import json
from typing import Any, NamedTuple, NotRequired, TypedDict

import pytest

from experiments.configuration.settings import Request
from experiments.papers import ledger
from experiments.schema import problems, read_json


class Pair(NamedTuple):
    shape: tuple[int, ...]
    name: str


class Content(TypedDict):
    number: float
    pair: NotRequired[Pair]


@dataclasses.dataclass
class Fields:
    k: int = 8
    start: str | None = None


@pytest.mark.parametrize(
    ("content", "kind", "problem"),
    [
        (8, int, None),
        (True, int, "it is True in place of a whole number"),
        (8.0, int, "it is 8.0 in place of a whole number"),
        (8, float, None),
        (10**400, float, "in place of a finite number"),
        (float("nan"), float, "it is nan in place of a finite number"),
        (float("-inf"), float, "it is -inf in place of a finite number"),
        ("8", float, "it is '8' in place of a finite number"),
        (None, str | None, None),
        (3, str | None, "it is 3 in place of a text or null"),
        ([1, 2], tuple[int, ...], None),
        ([1, "2"], list[int], "1 is '2' in place of a whole number"),
        ({"a": [1]}, dict[str, list[float]], None),
        ({"a": {"b": 1}}, dict[str, list[float]], "a is {'b': 1} in place of a list"),
        ([], dict[str, int], "it is [] in place of an object"),
        (["anything"], Any, None),
        ({"number": 1, "more": None}, Content, None),
        ({"pair": {}}, Content, "it has no 'number'"),
        ({"number": 1, "pair": {"shape": [1]}}, Content, "pair has no 'name'"),
        ({"number": 1, "pair": {"shape": 1, "name": "a"}}, Content, "pair.shape is 1 in place of a list"),
        ({"number": 1, "pair": None}, Content, "pair is None in place of an object"),
        ({}, Fields, None),
        ({"k": 3, "start": "a"}, Fields, None),
        ({"k": None}, Fields, "k is None in place of a whole number"),
        ({"j": 3}, Fields, "it has 'j', which this version does not know"),
        ("x" * 1000, int, "it is 'xxxxxx"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(content, kind, problem):
    found = list(problems(content, kind))
    assert (found == []) if problem is None else (problem in found[0])
    assert all(len(one) < 200 for one in found)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\x00", "{'k': 8}"])
def test_a_text_that_is_no_json_is_a_value_error(text):
    with pytest.raises(ValueError):  # noqa: PT011 (whatever it says)
        read_json(text, Fields)


def test_every_setting_can_be_checked():
    assert list(problems(json.loads(json.dumps(dataclasses.asdict(Request()))), Request)) == []


LINE = {"key": "a", "finished": "2026-01-01"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"key": 3}, "key is 3 in place of a text"),
        ({"finished": None}, "finished is None in place of a text"),
        ({"seconds": float("nan")}, "seconds is nan in place of a finite number"),
        ({"seconds": "long"}, "seconds is 'long' in place of a finite number"),
        ({"settings": []}, "settings is [] in place of an object"),
        ({"settings": {"k": "8"}}, "settings.k is '8' in place of a whole number"),
        ({"settings": {"slots": 8}}, "settings has 'slots', which this version does not know"),
        ({"machine": 1}, "machine is 1 in place of a text"),
    ],
)
def test_a_line_of_the_ledger_of_wrong_types_is_named(changes, said, tmp_path):
    (tmp_path / "one.jsonl").write_text(json.dumps(LINE) + "\n" + json.dumps(LINE | changes) + "\n")
    with pytest.raises(ValueError, match=r"^--ledger: line 2 of .*one.jsonl is damaged \(") as error:
        ledger.read(tmp_path)
    assert said in str(error.value)


@pytest.mark.parametrize("content", [b"[]", b"null", b"3", b"\xff", b"{", b'{"key": "a"}', b"[" * 100_000])
def test_a_line_that_is_none_is_named(content, tmp_path):
    (tmp_path / "one.jsonl").write_bytes(content + b"\n")
    with pytest.raises(ValueError, match=r"^--ledger: line 1 of .*one.jsonl is damaged \("):
        ledger.read(tmp_path)


def test_what_a_killed_process_left_of_a_line_may_end_within_a_letter(tmp_path):
    (tmp_path / "one.jsonl").write_bytes(json.dumps(LINE).encode() + b'\n{"key": "\xc3')
    assert ledger.read(tmp_path) == {"a": LINE}


def test_a_line_without_what_the_report_shows_is_named_there(tmp_path):
    (tmp_path / "one.jsonl").write_text(json.dumps(LINE) + "\n")
    with pytest.raises(ValueError, match=r"line 1 of .*one.jsonl is damaged \(it has no 'best_epoch'\)$"):
        ledger.read(tmp_path, whole=True)
