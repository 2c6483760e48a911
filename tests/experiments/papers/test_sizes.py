"""What plain rounding makes of learned weights, and how far latent values are from what is selected."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import slotjax
from experiments.papers import ledger_line
from experiments.papers.directories import Directories
from experiments.papers.grid import Cell
from experiments.papers.ledger_line import _seconds_per_step
from experiments.papers.observations import _distance
from experiments.papers.sizes import BLOCK, bytes_of, rounded
from experiments.papers.slot_machines import finetuned
from slotjax.selectors import matrices_and_kernels

WEIGHTS = {"kernel": np.float32(np.random.default_rng(0).normal(size=(10, 10))), "bias": np.full(3, 0.3, np.float32)}


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_rounding_has_so_many_values_of_each_block_and_none_is_far(bits):
    result = jax.tree.map(np.asarray, rounded(WEIGHTS, bits))
    np.testing.assert_array_equal(result["bias"], WEIGHTS["bias"])
    for start in range(0, 100, BLOCK):
        before, after = (tree["kernel"].ravel()[start : start + BLOCK] for tree in (WEIGHTS, result))
        spacing = np.abs(before).max() / (2 ** (bits - 1) - 1)
        # A spacing in float16 is off by a share of 2^-11, of the greatest multiple too.
        slack = np.abs(before).max() * 2.0**-10
        assert np.abs(before - after).max() <= spacing / 2 + slack
        assert len(np.unique(after)) <= 2**bits - 1
        assert len(np.unique(np.round(after / np.float16(spacing)))) == len(np.unique(after))


def test_a_block_of_zeros_stays():
    assert not rounded({"kernel": jnp.zeros((8, 8))}, 4)["kernel"].any()


def test_sixteen_bits_are_bfloat16():
    expected = jnp.asarray(WEIGHTS["kernel"]).astype(jnp.bfloat16).astype(jnp.float32)
    np.testing.assert_array_equal(rounded(WEIGHTS, 16)["kernel"], expected)


def test_bytes_are_those_of_values_spacings_and_the_rest():
    assert bytes_of(WEIGHTS, 4) == 50 + 2 * 4 + 4 * 3
    assert bytes_of(WEIGHTS, 16) == 200 + 4 * 3


def test_distances_are_from_latent_values_to_what_is_selected():
    selector = slotjax.partition(
        {"kernel": slotjax.slot_machine(k=4, where=matrices_and_kernels), ".*": slotjax.learned()}
    )
    variables = selector.init(jax.random.key(0), WEIGHTS)
    u, weight = np.asarray(variables["params"]["kernel"]["u"]), np.asarray(selector.select(variables)["kernel"])
    expected = np.abs(u - weight).mean() / weight.std()
    assert float(_distance(selector, variables)) == pytest.approx(expected, rel=1e-5)
    options = np.asarray(selector.codebooks(variables)["kernel"].options.values())
    assert (np.abs(u - weight) <= np.abs(options - u).min(0) + 1e-6).all()


def test_the_time_of_a_step_is_that_of_epochs_after_the_first():
    times = (50.0, 4.0, 6.0, 4.0)
    history = [{"epoch": 0}, *({"step": 20 * n, "time": {"seconds": s}} for n, s in enumerate(times, start=1))]
    assert _seconds_per_step(history) == 0.2
    assert _seconds_per_step(history[:2]) is None


@pytest.mark.parametrize(("epoch", "steps"), [(20, 200), (None, 1000)])
def test_the_operations_of_a_start_are_those_up_to_its_epoch(epoch, steps, tmp_path, monkeypatch):
    monkeypatch.setattr(ledger_line, "_history", lambda workdir: [{"step": 10 * epoch} for epoch in range(101)])
    monkeypatch.setattr(ledger_line, "_flops", lambda settings, history, config: history[-1]["step"])
    monkeypatch.setattr(ledger_line, "read_config", lambda workdir: {})
    cell = Cell(finetuned("conv4", epoch), 0)
    assert ledger_line._start_flops(cell, Directories(tmp_path, tmp_path, None)) == steps


def test_a_byte_that_is_begun_counts():
    assert bytes_of({"kernel": jnp.zeros((3, 3))}, 3) == 4 + 2
