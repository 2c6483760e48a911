"""Flags of every kind, also senseless ones: settings that a run could have, or one sentence."""

import dataclasses
import json

import jax
import numpy as np
from absl import flags

from experiments.configuration.execution import Execution
from experiments.flags import parse as parsing
from experiments.methods import selector_of
from experiments.program import sentence
from experiments.running.components import initial
from experiments.running.processes import join
from experiments.running.records import settings_in
from experiments.running.run import build
from slotjax import data
from tests.experiments.flags.parsing import parse
from tests.fuzz.amounts import amounts, try_all
from tests.fuzz.guards import assert_one_sentence, refused
from tests.fuzz.nonsense import command_lines

SOURCE = data.Dataset(
    *(data.Split(np.zeros((200, 32, 32, 3), np.uint8), np.arange(200, dtype=np.int32) % 4) for _ in range(3)), classes=4
)


def parsed(line):
    """Settings and execution, or None with the sentence checked."""
    try:
        return parse(*line)
    except (flags.Error, ValueError) as error:
        said = sentence(error)
    assert_one_sentence(1, f"{said}\n")
    assert said.startswith(("error: --", "error: flag --")), said
    return None


@amounts(60)
def test_flags_are_settings_that_can_be_read_again_or_one_sentence(amount):
    def holds(line):
        if (both := parsed(line)) is not None:
            settings, _ = both
            config = {"settings": json.loads(json.dumps(dataclasses.asdict(settings)))}
            assert settings_in(config, "config.json") == settings

    try_all(amount, command_lines(parsing.define_flags), holds)


@amounts(8, share=0.3)
def test_settings_make_a_network_and_its_state_or_one_sentence(amount):
    """Without any of its arrays being made."""
    mesh = jax.make_mesh((1,), ("data",), devices=jax.devices()[:1])

    def holds(line):
        if (both := parsed(line)) is None:
            return
        with refused(ValueError):
            experiment = build(both[0], SOURCE, mesh)
            weights = initial(experiment.weights)
            variables = jax.eval_shape(selector_of(both[0]).init, jax.random.key(0), weights)
            jax.eval_shape(experiment.optimizer.init, variables["params"])
            assert 0 <= float(experiment.schedule(0)) <= 1e38

    absent = ("init_from", "dataset")
    try_all(amount, command_lines(parsing.define_flags, ["--batch_size=20"], absent), holds)


@amounts(10, share=0.1)
def test_several_processes_are_joined_or_told_why_not_in_one_sentence(amount, monkeypatch):
    initialized = []
    monkeypatch.setattr("experiments.running.processes.start_watcher", lambda: None)
    monkeypatch.setattr("jax.distributed.initialize", lambda *_, **given: initialized.append(given))
    three = ("coordinator_address", "num_processes", "process_id")
    others = {field.name for field in dataclasses.fields(Execution)} - set(three)

    def holds(line):
        initialized.clear()
        values = flags.FlagValues()
        parsing.define_flags(values)
        with refused(ValueError, flags.Error):
            values(["train", *line])
            join(Execution(**{name: values[name].value for name in three}))
        for given in initialized:
            assert int(given["coordinator_address"].rpartition(":")[2]) < 2**16
            assert 0 <= given["process_id"] < given["num_processes"] < 2**31

    complete = ["--coordinator_address=localhost:80", "--num_processes=2", "--process_id=0"]
    names = {field.name for field in dataclasses.fields(parsing.Request)} | others
    try_all(amount, command_lines(parsing.define_flags, complete, names), holds)
