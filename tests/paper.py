"""The selectors of the papers, whose values are not the library's defaults."""

from functools import partial

import slotjax
from slotjax import distributions

SIGNED = distributions.signed_kaiming_constant()
slot_machine = partial(
    slotjax.slot_machine,
    scores="explicit",
    options="stored",
    initial="uniform",
    distribution=distributions.glorot_uniform(),
)
edge_popup = partial(slotjax.edge_popup, distribution=SIGNED)
supermask = partial(slotjax.supermask, distribution=SIGNED)
random_selection = partial(slotjax.random_selection, distribution=distributions.glorot_uniform())
