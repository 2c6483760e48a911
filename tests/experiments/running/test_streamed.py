"""An epoch of a stream, with stand-ins for all that it does but count."""

import contextlib
from types import SimpleNamespace

import jax
import jax.numpy as jnp

from experiments.running import streamed
from slotjax import training


def test_what_changed_is_counted_from_the_start_of_an_epoch_that_was_resumed(monkeypatch):
    state = training.init_state(jax.random.key(1), jnp.array([1, 1]), training.sgd(0.1))
    sums = training.Sums(jnp.array(1.0), jnp.array(1.0), jnp.array(1))
    resumed = streamed._Position(state, sums, {"w": jnp.array([0, 0])})
    every = SimpleNamespace(
        experiment=SimpleNamespace(mesh=training.data_mesh(), steps_per_epoch=1, batch_size=1),
        compiled=SimpleNamespace(selection=lambda variables: {"w": variables["params"]}),
    )
    monkeypatch.setattr(streamed, "_partial", lambda every: contextlib.nullcontext())
    monkeypatch.setattr(streamed, "_resume", lambda *_: resumed)
    monkeypatch.setattr(streamed, "_train", lambda every, position, *_: (position.state, position.sums))
    monkeypatch.setattr(streamed, "_evaluate", lambda *_: {"skipped": {}})
    assert streamed._train_epoch(every, state, {})[1]["changed"] == 1
