"""What a ticket would not give back as it is, is refused or told when it is saved."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import slotjax

PARAMS = {"kernel": jnp.asarray(np.random.default_rng(0).normal(size=(6, 4)), jnp.float32)}
SELECTORS = {
    "slots": slotjax.slot_machine(),
    "explicit": slotjax.slot_machine(scores="explicit"),
    "edge_popup": slotjax.edge_popup(),
    "supermask": slotjax.supermask(),
    "biprop": slotjax.biprop(),
    "multicoat": slotjax.multicoat((0.5, 0.2)),
}


@pytest.mark.parametrize("name", SELECTORS)
def test_a_network_that_diverged_is_refused(name, tmp_path):
    variables = SELECTORS[name].init(jax.random.key(0), PARAMS)
    diverged = jax.tree.map(lambda leaf: leaf * jnp.nan, variables["params"])
    with pytest.raises(ValueError, match="variables: the weights of 'kernel' must be finite"):
        slotjax.save_ticket(tmp_path / "ticket", SELECTORS[name], variables | {"params": diverged})
    assert not (tmp_path / "ticket").exists()


@pytest.mark.parametrize("selector", [slotjax.edge_popup(0.0), slotjax.multicoat((0.0,)), slotjax.edge_popup(1.0)])
def test_all_or_nothing_kept_is_bit_for_bit_the_same(selector, tmp_path):
    variables = selector.init(jax.random.key(0), PARAMS)
    slotjax.save_ticket(tmp_path / "ticket", selector, variables)
    loaded = np.asarray(slotjax.load_ticket(tmp_path / "ticket").weights["kernel"])
    for select in (selector.select, jax.jit(selector.select)):
        assert np.asarray(select(variables)["kernel"]).tobytes() == loaded.tobytes()


@pytest.mark.parametrize("key", [("a", "b"), True, 1.5])
def test_keys_that_come_back_as_strings_are_told(key, tmp_path):
    selector = slotjax.slot_machine()
    variables = selector.init(jax.random.key(0), {key: PARAMS["kernel"]})
    with pytest.warns(UserWarning, match="neither strings nor integers"):
        slotjax.save_ticket(tmp_path / "ticket", selector, variables)
    like = {key: PARAMS["kernel"]}
    assert list(slotjax.load_ticket(tmp_path / "ticket", like=like).weights) == [key]
