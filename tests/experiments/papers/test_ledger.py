"""The ledger: nothing is lost, doubled or damaged, whoever writes and whenever it is killed."""

import contextlib
import fcntl
import json
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.papers import ledger
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[3]


def line(key, finished="2026-01-01", **more):
    return {"key": key, "finished": finished, **more}


def test_what_is_appended_is_read_once(tmp_path):
    assert ledger.append(line("a", value=0.1), tmp_path)
    assert ledger.append(line("b"), tmp_path)
    assert not ledger.append(line("a", value=0.2), tmp_path)
    assert ledger.read(tmp_path) == {"a": line("a", value=0.1), "b": line("b")}
    (file,) = tmp_path.iterdir()
    assert file.name == f"{ledger.machine()}.jsonl"
    assert file.read_text().count("\n") == 2


def test_no_ledger_is_an_empty_one(tmp_path):
    assert ledger.read(tmp_path / "nowhere") == {}


@pytest.mark.parametrize("kept", range(0, 40, 5))
def test_a_line_that_was_cut_off_is_written_anew(kept, tmp_path):
    ledger.append(line("a"), tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole + json.dumps(line("b" * 50)).encode()[:kept])
    assert set(ledger.read(tmp_path)) == {"a"}
    ledger.append(line("c"), tmp_path)
    assert set(ledger.read(tmp_path)) == {"a", "c"}
    assert file.read_bytes().startswith(whole)


def test_the_files_of_several_machines_are_read_together_and_the_first_to_finish_counts(tmp_path):
    (tmp_path / "one.jsonl").write_text(json.dumps(line("a", "2026-01-02", by=1)) + "\n")
    (tmp_path / "two.jsonl").write_text("".join(json.dumps(line(key, "2026-01-01", by=2)) + "\n" for key in "ab"))
    read = ledger.read(tmp_path)
    assert {key: found["by"] for key, found in read.items()} == {"a": 2, "b": 2}
    assert not ledger.append(line("a"), tmp_path)


def on_text(key, text, python, finished, **more):
    settings, versions = {"dataset": "stdlib"}, {"python": python}
    return line(key, finished, settings=settings, dataset_sha256=text, versions=versions, **more)


def test_what_was_trained_on_the_text_of_another_python_is_not_done_here(tmp_path):
    here = platform.python_version()
    other, own = on_text("a", "x", "3.0.0", "2026-01-01"), on_text("a", "y", here, "2026-01-02")
    assert ledger.append(other, tmp_path)
    assert ledger.append(line("b", versions={"python": "3.0.0"}), tmp_path)  # of images, which are the same for all
    assert set(ledger.read_here(tmp_path)) == {"b"}
    assert ledger.append(own, tmp_path)
    assert not ledger.append(own, tmp_path)
    assert ledger.read_here(tmp_path)["a"] == own
    assert ledger.read(tmp_path)["a"] == other | {"on_other_texts": {"y": own}}


@pytest.mark.parametrize("damaged", ["no json", "[1]", '{"key": "a"}', "3"])
def test_a_damaged_line_is_named(damaged, tmp_path):
    path = tmp_path / "one.jsonl"
    path.write_text(json.dumps(line("a")) + f"\n{damaged}\n")
    with pytest.raises(ValueError, match=rf"^--ledger: line 2 of {path} is damaged \("):
        ledger.read(tmp_path)


WRITER = """
import sys
from pathlib import Path

from experiments.papers import ledger

print("ready", flush=True)
for number in range(40):
    ledger.append({"key": str(number % 30), "finished": "2026", "by": sys.argv[2] * 500}, Path(sys.argv[1]))
"""


def test_processes_that_write_at_the_same_time_lose_and_double_nothing(tmp_path):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), name], cwd=ROOT) for name in "xy"]
    assert [writer.wait(timeout=PATIENCE) for writer in writers] == [0, 0]
    (file,) = tmp_path.iterdir()
    lines = [json.loads(text) for text in file.read_text().splitlines()]
    assert sorted(int(one["key"]) for one in lines) == list(range(30))


def test_a_process_waits_while_another_writes(tmp_path):
    path = tmp_path / f"{ledger.machine()}.jsonl"
    with contextlib.ExitStack() as stack, path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        writer = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", WRITER, str(tmp_path), "x"], cwd=ROOT, stdout=subprocess.PIPE, text=True
            )
        )
        assert writer.stdout.readline() == "ready\n"
        time.sleep(1)  # in which it would write, if it did not wait
        assert path.read_bytes() == b""
        file.write(json.dumps(line("0", by="here")).encode() + b"\n")
    assert writer.returncode == 0
    found = [json.loads(text) for text in path.read_text().splitlines()]
    assert [one["key"] for one in found] == [str(number) for number in range(30)]
    assert found[0]["by"] == "here"
