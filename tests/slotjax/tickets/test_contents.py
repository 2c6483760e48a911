"""What `describe_ticket` and `python -m experiments.inspect` say of tickets."""

import json
import os

import jax
import numpy as np
import pytest

import slotjax
from experiments import inspect
from slotjax.tickets import container, describe_ticket, indices, reader
from tests.slotjax.tickets.made_tickets import MADE, VECTORS, save

# Of another format than 2.
OF_3 = (
    "own-bell-k8",
    "biprop-uniform",
    "multicoat-k4",
    "multicoat-stored-bfloat16",
    "partly-supermask",
    "partly-slots-k5",
)
FORMATS = {"format1": 1, **dict.fromkeys(OF_3, 3), "own-stratified-k12": 4, "stratified-k4096-float16": 4}


@pytest.mark.parametrize("name", [*MADE, "format1"])
def test_a_line_per_weight_without_making_it(name, monkeypatch):
    path = VECTORS / f"{name}.ticket"
    loaded = slotjax.load_ticket(path)
    monkeypatch.setattr(reader.Leaf, "values", lambda leaf: pytest.fail("a weight was made"))
    contents = describe_ticket(path)
    assert (contents.size, contents.format) == (path.stat().st_size, FORMATS.get(name, 2))
    assert (contents.selector, contents.metadata) == (loaded.settings, loaded.metadata)
    printed = inspect.lines(path)
    for part in contents.parts:
        assert len([line for line in printed if line.split()[:1] == [part.path]]) == 1


def test_what_a_line_says():
    printed = "\n".join(inspect.lines(VECTORS / "edge_popup-deflated.ticket"))
    assert "64x32 float32  2 options, normal of scale 0.125, the first is 0  " in printed
    bits = float(printed.split(" bits per connection")[0].rsplit(" ", 1)[1])
    assert 0.28 < bits < 0.6
    assert "3 bfloat16" in "\n".join(inspect.lines(VECTORS / "learned.ticket"))
    assert "times 1." in "\n".join(inspect.lines(VECTORS / "supermask-rescaled.ticket"))


def test_only_options_of_each_connection_need_advice():
    advice = {name: describe_ticket(VECTORS / f"{name}.ticket").advice for name in MADE}
    stored = {"stored-k5", "edge_popup-stored", "multicoat-stored-bfloat16", "random"}
    assert {name for name, said in advice.items() if said} == stored
    assert advice["stored-k5"].startswith("Stored options take 300 of its 1,062 bytes; with options='seeded'")
    assert inspect.lines(VECTORS / "stored-k5.ticket")[-1] == advice["stored-k5"]


def test_a_proof_comes_back(tmp_path):
    selector, params = MADE["signed-k2"]()
    variables = selector.init(jax.random.key(0), params)
    slotjax.save_ticket(tmp_path / "ticket", selector, variables, proof="5498f13d")
    assert slotjax.load_ticket(tmp_path / "ticket").proof == describe_ticket(tmp_path / "ticket").proof == "5498f13d"
    assert 'proof: "5498f13d"' in inspect.lines(tmp_path / "ticket")
    assert slotjax.load_ticket(VECTORS / "signed-k2.ticket").proof is None


def test_no_name_reaches_the_terminal_as_it_is(tmp_path):
    escape = "\x1b[31m"
    content = {"format": 2, "selector": {escape: escape}, "weights": {}, "metadata": {escape: escape}}
    content["arrays"] = {f"params/{escape}": f"float8_{escape}"}
    tensors = {f"array/params/{escape}": np.zeros(3, np.uint8)}
    (tmp_path / "ticket").write_bytes(container.serialized(tensors, json.dumps(content)))
    assert escape not in "\n".join(inspect.lines(tmp_path / "ticket"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one ticket"),
        (["a", "b"], "give one ticket"),
        (["missing"], "missing"),
        (["pipe"], "not a regular file"),
    ],
)
def test_what_cannot_be_inspected_is_one_sentence(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inspect, "prepare", lambda arguments: None)
    os.mkfifo("pipe")
    with pytest.raises(SystemExit, match=rf"error: .*{message}"):
        inspect.main(["inspect", *arguments])


def test_a_deflated_stream_has_the_least_size_that_readers_take():
    assert indices.deflated(np.zeros(2**14, np.uint8)).size == 2**14 // 32


def test_a_ticket_replaces_the_old_one_when_it_is_whole(tmp_path, monkeypatch):
    (tmp_path / "ticket").write_text("old")
    monkeypatch.setattr(container.Path, "replace", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save("own-bell-k8", tmp_path / "ticket")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
