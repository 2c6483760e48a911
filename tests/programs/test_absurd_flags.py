"""Flags that no machine can serve, and numbers that are none: one sentence that names the flag, from every program."""

import pytest

from tests.programs.in_process import call
from tests.programs.training_process import flags

HUGE = str(10**30)
TRAINING = {
    "epochs": HUGE,
    "batch_size": HUGE,
    "examples": HUGE,
    "image_size": HUGE,
    "workers": HUGE,
    "restarts": HUGE,
    "keep_epochs": HUGE,
    "checkpoint_every": HUGE,
    "checkpoint_steps": HUGE,
    "k": HUGE,
    "seed": HUGE,
    "width_multiplier": "1e300",
    "learning_rate": "1e300",
    "momentum": "nan",
}
OTHERS = [
    ("search", "size", "1e15"),
    ("search", "size", str(10**15)),
    ("search", "size", HUGE),
    ("search", "rounds", HUGE),
    ("search", "keep_fraction", "nan"),
    ("benchmark", "ks", "²"),
    ("benchmark", "ks", "65537"),
    ("benchmark", "ks", HUGE),
    ("benchmark", "networks", ""),
    ("benchmark", "memory_gb", "nan"),
    ("benchmark", "memory_gb", "1e400"),
    ("benchmark", "rounds", HUGE),
    ("reproduce", "epochs_scale", "1e308"),
    ("reproduce", "budget_minutes", "1e300"),
    ("reproduce", "examples", HUGE),
    ("reproduce", "trials", HUGE),
]


def assert_names(flag, said):
    code, output, errors = said
    assert (code, output) == (1, "")
    assert errors.startswith(f"error: --{flag}"), errors
    assert errors.endswith("\n")
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize("flag", TRAINING)
def test_a_run_is_not_started_with_them(flag, digits, tmp_path):
    own = flags(digits, tmp_path / "run", *(["--model=conv2"] if flag == "width_multiplier" else []))
    assert_names(flag, call("train", *own, f"--{flag}={TRAINING[flag]}"))
    assert not (tmp_path / "run").exists()


def test_a_run_has_no_more_steps_than_can_be_counted(digits, tmp_path):
    assert_names("epochs", call("train", *flags(digits, tmp_path / "run", "--epochs=2147483647")))


@pytest.mark.parametrize(("program", "flag", "value"), OTHERS)
def test_other_programs_refuse_them(program, flag, value, tmp_path):
    own = {"benchmark": [f"--out={tmp_path}"], "reproduce": ["--list", f"--runs={tmp_path}"]}.get(program, [])
    assert_names(flag, call(program, *own, f"--{flag}={value}"))


@pytest.mark.parametrize(
    ("program", "given", "sentence"),
    [
        ("evaluate", "--sample=abc", "--sample: 'abc' was given, but it must be a whole number"),
        ("evaluate", "--sample=", "--sample: '' was given, but it must be a whole number"),
        ("train", "--k=1.5", "--k: '1.5' was given, but it must be a whole number"),
        ("train", "--learning_rate=a: b=c", "--learning_rate: 'a: b=c' was given, but it must be a number"),
        ("train", "--affine=maybe", "--affine: 'maybe' was given, but it must be true or false"),
        ("train", "--nothing=1", "Unknown command line flag 'nothing'; see --help"),
    ],
)
def test_a_value_of_a_wrong_kind_is_named_with_what_is_allowed(program, given, sentence):
    assert call(program, given) == (1, "", f"error: {sentence}\n")


@pytest.mark.parametrize("port", ["99999", "²", "-1"])
def test_a_port_that_is_none_is_refused(port, digits, tmp_path):
    own = [f"--coordinator_address=localhost:{port}", "--num_processes=2", "--process_id=0"]
    assert_names("coordinator_address", call("train", *flags(digits, tmp_path / "run", *own)))


def test_more_processes_than_can_be_counted_are_refused(digits, tmp_path):
    own = ["--coordinator_address=localhost:80", f"--num_processes={HUGE}", "--process_id=0"]
    assert_names("num_processes", call("train", *flags(digits, tmp_path / "run", *own)))


def test_names_with_characters_that_a_terminal_obeys_are_shown_on_one_line():
    assert_names("workdir", call("export", "--workdir=a\nb\x1b[2J", "--out=ticket"))
