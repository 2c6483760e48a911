"""What a run says that it ran on."""

import os
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

ENVIRONMENT = Path(__file__).parents[3] / "experiments" / "running" / "environment.py"


def git(directory, *arguments):
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return subprocess.run(
        ["git", "-C", str(directory), *who, *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    files = ("pyproject.toml", "README.md", "slotjax/a.py", "experiments/results/ledger.jsonl")
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("\n")
    own = tmp_path / "experiments" / "running" / "environment.py"
    own.parent.mkdir()
    shutil.copy(ENVIRONMENT, own)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message=all")
    return tmp_path


def commit(checkout):
    return runpy.run_path(str(checkout / "experiments" / "running" / "environment.py"))["environment"]()["commit"]


@pytest.mark.parametrize(
    ("changed", "mark"),
    [
        (None, ""),
        ("experiments/results/ledger.jsonl", ""),
        ("README.md", ""),
        ("slotjax/a.py", "-dirty"),
        ("pyproject.toml", "-dirty"),
        ("experiments/running/environment.py", "-dirty"),
    ],
)
def test_a_commit_is_marked_if_the_code_differs_from_it(changed, mark, checkout):
    if changed:
        with (checkout / changed).open("a") as file:
            file.write("# changed\n")
    assert commit(checkout) == git(checkout, "rev-parse", "HEAD") + mark


def test_without_a_checkout_there_is_no_commit(checkout):
    shutil.rmtree(checkout / ".git")
    assert commit(checkout) is None


def test_the_flags_of_the_compiler_are_part_of_the_hardware(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_prefer_vector_width=512")
    environment = runpy.run_path(str(ENVIRONMENT))["environment"]()
    assert environment["hardware"]["xla_flags"] == "--xla_cpu_prefer_vector_width=512"


def test_the_processor_and_the_cores_of_this_process_are_part_of_the_hardware(monkeypatch):
    described = "processor\t: 0\nmodel name\t: A Processor 3.0\nmodel\t\t: 7\nmodel name\t: A Processor 3.0\n"
    read = Path.read_text

    def read_text(path, *arguments, **named):
        return described if str(path) == "/proc/cpuinfo" else read(path, *arguments, **named)

    monkeypatch.setattr(Path, "is_file", lambda path: True)
    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3}, raising=False)
    hardware = runpy.run_path(str(ENVIRONMENT))["environment"]()["hardware"]
    assert (hardware["processor"], hardware["cores"]) == ("A Processor 3.0", 1)
