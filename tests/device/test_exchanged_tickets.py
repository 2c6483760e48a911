"""A ticket of an accelerator gives a CPU the same weights bitwise, and the other way."""

import jax
import pytest

import slotjax
from experiments.configuration.settings import Request
from experiments.flags.resolve import resolve
from experiments.methods import METHODS, selector_of
from tests.device.accelerator import accelerator, assert_bitwise, on  # noqa: F401 (a fixture)

pytestmark = pytest.mark.device


@pytest.mark.parametrize("writes", ["accelerator", "cpu"])
@pytest.mark.parametrize("name", METHODS)
def test_a_ticket_that_is_written_on_one_and_read_on_the_other(device, name, writes, tmp_path):
    cpu = jax.devices("cpu")[0]
    writer, reader = (device, cpu) if writes == "accelerator" else (cpu, device)
    selector = selector_of(resolve(Request(method=name)))

    def write(key, params):
        variables = selector.init(key, params)
        moved = jax.tree.map(
            lambda leaf: leaf + leaf.max() / 2 * jax.random.normal(key, leaf.shape), variables["params"]
        )
        variables |= {"params": moved}
        slotjax.save_ticket(tmp_path / "one.ticket", selector, variables)
        return selector.select(variables)

    params = {"dense": {"kernel": jax.random.normal(jax.random.key(1), (120, 41)) / 7}}
    selected = on(writer, write, jax.random.key(2), params)
    written, read = (
        on(place, lambda: slotjax.load_ticket(tmp_path / "one.ticket").weights) for place in (writer, reader)
    )
    assert_bitwise(written, read)
    assert_bitwise(selected, read)
