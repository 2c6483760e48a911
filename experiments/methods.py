"""The methods: how each makes its selector of the settings, its recipe, the flags that concern it, and its words.

A method is one entry of `METHODS`. No other file of these programs asks which method a run has.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import slotjax
from experiments.configuration import recipes
from experiments.configuration.choices import OWN_SCALES
from experiments.configuration.settings import Request, Settings
from slotjax import models


class Method(NamedTuple):
    """One way of choosing the weights of a network.

    Attributes:
        title: its name in a sentence.
        about: where the weights come from, in a few words.
        selector: what chooses the weights of a run with these settings.
        recipe: its values of the settings that a request may leave absent.
        flags: the fields of a request that concern it and not every method.
        describe: what a run is called in tables and pictures: the method, and what varies most of it.
        short: the same for the name of a directory.
        bits: of a connection in a ticket, on the average, before deflating.
        trains: whether anything is.
    """

    title: str
    about: str
    selector: Callable[[Settings], slotjax.Selector]
    recipe: recipes.Recipe
    flags: tuple[str, ...]
    describe: Callable[[Request], str]
    short: Callable[[Request], str]
    bits: Callable[[Request], float]
    trains: bool = True


def bits_per_index(k: int) -> int:
    """Bits of the index of one of K options.

    >>> [bits_per_index(k) for k in (1, 2, 5, 8)]
    [1, 1, 3, 3]
    """
    return max(1, (k - 1).bit_length())


def distribution_of(settings: Settings) -> slotjax.distributions.Distribution | None:
    """What random values are drawn from; None stands for the usual kind at each weight's own scale.

    >>> from experiments.flags.resolve import resolve
    >>> distribution_of(resolve(Request(distribution="kaiming_normal", fan="fan_out"))).scale((8, 2))
    1.0
    """
    if settings.distribution == "own":
        return None
    if settings.distribution in OWN_SCALES:
        kind: Any = settings.distribution.removeprefix("own_")
        return slotjax.distributions.own_scale(kind, settings.scale_factor)
    counts_one_fan = not settings.distribution.startswith("glorot")
    make = getattr(slotjax.distributions, settings.distribution)
    return make(settings.fan) if counts_one_fan else make()


def _given(settings: Settings, *names: str) -> dict[str, Any]:
    """What a selector takes by the same names, and its distribution; shapes alone decide what is selected."""
    fixed = {"distribution": distribution_of(settings), "where": slotjax.selectors.matrices_and_kernels}
    return fixed | {name: getattr(settings, name) for name in names}


_SLOT_MACHINE = ("k", "selection", "scores", "options", "share", "sparse", "initial", "score_scale")


def _slot_machine(settings: Settings) -> slotjax.Selector:
    # With uniform initial scores and SGD exactly the paper's K scores; otherwise weight decay is of latent values.
    arguments = _given(settings, *_SLOT_MACHINE)
    arguments["distribution"] = arguments["distribution"] or slotjax.distributions.own_scale("uniform")
    return slotjax.slot_machine(**arguments)


def _describe_slot_machine(request: Request) -> str:
    share = {"connection": "", "layer": ", shared per layer", "network": ", shared by the network"}[request.share]
    marks = (", sparse" if request.sparse else "") + ("" if request.initial == "uniform" else f", {request.initial}")
    # No other optimizer than SGD trains K scores by two numbers; it trains a method of its own.
    marks += ", latent values" if request.optimizer != "sgd" and request.scores == "factored" else ""
    return f"{request.selection} slot machine, K = {request.k}{share}{marks}"


def _short_slot_machine(request: Request) -> str:
    words = [request.selection, f"k{request.k}"]
    words += [request.share] if request.share != "connection" else []
    words += ["sparse"] if request.sparse else []
    return "-".join(words + ([] if request.initial == "uniform" else [request.initial]))


_EDGE_POPUP = ("keep_fraction", "ranking", "options")
_BIPROP, _MULTICOAT = ("keep_fraction", "options"), ("keep_fractions", "options")


def _scaled(settings: Settings, share: float | tuple[float, ...], *names: str) -> dict[str, Any]:
    """What a mask takes, its distribution scaled for the share of the weights that is kept if that is asked for."""
    arguments = _given(settings, *names)
    if settings.scale_for_kept:
        unscaled = arguments["distribution"] or slotjax.distributions.own_scale("signed_constant")
        arguments["distribution"] = slotjax.distributions.scaled_for(share, unscaled)
    return arguments


def _edge_popup(settings: Settings) -> slotjax.Selector:
    return slotjax.edge_popup(**_scaled(settings, settings.keep_fraction, *_EDGE_POPUP))


def _biprop(settings: Settings) -> slotjax.Selector:
    return slotjax.biprop(**_scaled(settings, settings.keep_fraction, *_BIPROP))


def _multicoat(settings: Settings) -> slotjax.Selector:
    return slotjax.multicoat(**_scaled(settings, settings.keep_fractions, *_MULTICOAT))


def _partly_frozen(settings: Settings) -> slotjax.Selector:
    edge_popup = slotjax.edge_popup(**_scaled(settings, settings.keep_fraction, *_BIPROP))
    return slotjax.partly_frozen(edge_popup, settings.pruned, settings.kept)


def _describe_partly_frozen(request: Request) -> str:
    shares = (request.keep_fraction, request.pruned, request.kept)
    return "edge-popup, {:g} % kept; {:g} % pruned and {:g} % kept for ever".format(*(100 * share for share in shares))


def _describe_multicoat(request: Request) -> str:
    shares = [f"{100 * share:g}" for share in request.keep_fractions]
    return f"multicoat, {', '.join(shares)} % kept"


def _describe_edge_popup(request: Request) -> str:
    ranked = "" if request.ranking == "layer" else ", ranked globally"
    return f"edge-popup, {100 * request.keep_fraction:g} % kept{ranked}"


def _short_edge_popup(request: Request) -> str:
    return f"edge_popup-{request.keep_fraction:g}" + ("-global" if request.ranking == "global" else "")


_SUPERMASK = ("evaluation", "rescale", "options")


def _supermask(settings: Settings) -> slotjax.Selector:
    return slotjax.supermask(**_given(settings, *_SUPERMASK))


def _learned(settings: Settings) -> slotjax.Selector:
    drawn = {} if settings.init_from else _given(settings)
    return slotjax.learned(**drawn)


def _random(settings: Settings) -> slotjax.Selector:
    return slotjax.random_selection(**_given(settings))


METHODS = {
    "slot_machine": Method(
        title="slot machines",
        about="one of K random values for each",
        selector=_slot_machine,
        recipe=recipes.SLOT_MACHINE,
        flags=(*_SLOT_MACHINE, "where", "init_from"),
        describe=_describe_slot_machine,
        short=_short_slot_machine,
        bits=lambda request: bits_per_index(request.k),
    ),
    "edge_popup": Method(
        title="edge-popup",
        about="the random weights with the largest scores",
        selector=_edge_popup,
        recipe=recipes.EDGE_POPUP,
        flags=(*_EDGE_POPUP, "where", "scale_for_kept"),
        describe=_describe_edge_popup,
        short=_short_edge_popup,
        bits=lambda request: 1,
    ),
    "biprop": Method(
        title="biprop",
        about="the signs of the random weights with the largest scores",
        selector=_biprop,
        recipe=recipes.BIPROP,
        flags=(*_BIPROP, "where", "scale_for_kept"),
        describe=lambda request: f"biprop, {100 * request.keep_fraction:g} % kept",
        short=lambda request: f"biprop-{request.keep_fraction:g}",
        bits=lambda request: 1,
    ),
    "multicoat": Method(
        title="multicoated supermasks",
        about="random weights times the number of masks that keep them",
        selector=_multicoat,
        recipe=recipes.MULTICOAT,
        flags=(*_MULTICOAT, "where", "scale_for_kept"),
        describe=_describe_multicoat,
        short=lambda request: "-".join(["multicoat", *(f"{share:g}" for share in request.keep_fractions)]),
        bits=lambda request: bits_per_index(len(request.keep_fractions) + 1),
    ),
    "partly_frozen": Method(
        title="partly frozen edge-popup",
        about="edge-popup, a share of whose mask is random for ever",
        selector=_partly_frozen,
        recipe=recipes.EDGE_POPUP,
        flags=(*_BIPROP, "pruned", "kept", "where", "scale_for_kept"),
        describe=_describe_partly_frozen,
        short=lambda request: f"partly_frozen-{request.keep_fraction:g}-{request.pruned:g}-{request.kept:g}",
        bits=lambda request: round(1 - request.pruned - request.kept, 9),
    ),
    "supermask": Method(
        title="supermasks",
        about="random weights, each kept with a learned probability",
        selector=_supermask,
        recipe=recipes.SUPERMASK,
        flags=(*_SUPERMASK, "where"),
        describe=lambda request: "supermask",
        short=lambda request: "supermask",
        bits=lambda request: 1,
    ),
    "learned": Method(
        title="learned weights",
        about="ordinary training",
        selector=_learned,
        recipe=recipes.LEARNED,
        flags=("init_from",),
        describe=lambda request: "finetuning" if request.init_from else "learned weights",
        short=lambda request: "finetuned" if request.init_from else "learned",
        bits=lambda request: 32,
    ),
    "random": Method(
        title="random weights",
        about="nothing is trained",
        selector=_random,
        recipe=recipes.RANDOM,
        flags=("where",),
        describe=lambda request: "random weights",
        short=lambda request: "random",
        bits=lambda request: 1,
        trains=False,
    ),
}


def method_of(request: Request) -> Method:
    """The method that is asked for.

    Raises:
        ValueError: for an unknown method, in one sentence that names the flag.

    >>> method_of(Request(method="learned")).flags
    ('init_from',)
    """
    if request.method not in METHODS:
        names = ", ".join(METHODS)
        raise ValueError(f"--method: {request.method!r} was given, but it must be one of {names}")
    return METHODS[request.method]


def describe(request: Request) -> str:
    """The method and what varies most of it.

    >>> describe(Request(k=2, sparse=True)), describe(Request(method="edge_popup"))
    ('greedy slot machine, K = 2, sparse', 'edge-popup, 50 % kept')
    """
    return method_of(request).describe(request)


def selector_of(settings: Settings) -> slotjax.Selector:
    """The selector that the settings describe.

    >>> from experiments.flags.resolve import resolve
    >>> selector_of(resolve(Request(k=2))).settings.k
    2
    """
    method = method_of(settings)
    selector = method.selector(settings)
    rules = {"(.*/)?(bias|scale)": slotjax.fixed()} if settings.biases_and_scales == "fixed" else {}
    if settings.model in models.TEXT_MODELS and "where" in method.flags and settings.where == "kernels":
        rules |= {"(.*/)?kernel": selector}
        selector = slotjax.learned()
    return slotjax.partition({**rules, ".*": selector}) if rules else selector
