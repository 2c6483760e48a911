"""A transformer whose weights are never trained, against its learned twin: what this project is for.

Characters of the sources of Python's standard library, which every machine has, 2,000 steps of Adam. Every run starts
from the same initializers; biases, scales of norms and, unless all is selected, embeddings are learned, and every line
of the ledger says how many parameters that is.

    python -m experiments.reproduce --only=beyond.transformer --trials=1
"""

from typing import Any

from experiments.configuration.settings import Request
from experiments.papers.grid import Figure, Line, Panel, Run

EPOCHS = 10  # of 200 steps
RATES = (1e-3, 3e-3, 1e-2)
WIDE: dict[str, Any] = {"width_multiplier": 2.5}


def _run(start: Run | None = None, **settings: Any) -> Run:
    request = Request(model="char_transformer", dataset="stdlib", optimizer="adam", **settings)
    return Run(request, start, None if start is None else EPOCHS)


def learned(**settings: Any) -> Run:
    """Ordinary training."""
    return _run(method="learned", **settings)


def nearest(k: int, **settings: Any) -> Run:
    """A slot machine whose selected option is the one nearest to a latent value."""
    return _run(k=k, initial="nearest", **settings)


def uniform(k: int, **settings: Any) -> Run:
    """A slot machine with the paper's initial scores, which no rounding of a latent value is."""
    return _run(k=k, **settings)


def given(k: int, **settings: Any) -> Run:
    """The same, from learned weights, for a tenth of the steps that those took."""
    settings = {"distribution": "own_bell", "epochs": EPOCHS // 10, "learning_rate": 5e-4, **settings}
    return _run(k=k, initial="given", start=learned(learning_rate=RATES[1]), **settings)


def edge_popup(**settings: Any) -> Run:
    """Half of the weights, all of one magnitude."""
    return _run(method="edge_popup", **settings)


def _line(label: str, run: Any, *options: int, result: str | None = None, **settings: Any) -> Line:
    """A line of one run for each number of options, by the bits of a connection."""
    runs = {(k - 1).bit_length(): run(k, **settings) for k in options}
    return Line(label=label, runs=runs, results=dict.fromkeys(runs, result) if result else {})


def _rounded(**settings: Any) -> Line:
    """Learned weights, rounded afterwards: to integers, with a scale of 16 bits for each 32, and to bfloat16."""
    places = {**{bits + 0.5: f"quantized/{bits}/loss" for bits in (3, 4, 6, 8)}, 16: "quantized/16/loss"}
    runs = dict.fromkeys(places, learned(**settings))
    return Line(label="learned, then rounded", runs=runs, results=places)


_LEARNED = Line(label="learned weights", runs={"any": tuple(learned(learning_rate=rate) for rate in RATES)}, flat=True)
_NORMAL: dict[str, Any] = {"distribution": "own_normal"}
_ROUNDED = "Integers to which weights are rounded have a scale of 16 bits for each 32; those of 16 bits are bfloat16."
# What learned weights like best of the three rates, and so the one to be compared at.
_FAST: dict[str, Any] = {"learning_rate": RATES[2]}
_BELL: dict[str, Any] = {"distribution": "own_bell", **_FAST}
_STRATIFIED: dict[str, Any] = {"distribution": "own_stratified", **_FAST}
_LEARNED_FAST = Line(label="learned weights", runs={"any": learned(**_FAST)}, flat=True)

FRONT = Figure(
    name="beyond.bits",
    title="Never trained, against learned, over bits per connection",
    kind="against",
    axis="bits per connection",
    panels=(
        Panel(
            title="Transformer of 0.40 million parameters",
            lines=(
                _LEARNED_FAST,
                _line("the nearest of K random values", nearest, 2, 8, 16, 64, 256, **_BELL),
                _line("the same, embeddings selected too", nearest, 8, 64, where="all", **_BELL),
                Line(label="edge-popup, half kept", runs={1: edge_popup(**_FAST)}),
                _rounded(**_FAST),
            ),
        ),
    ),
    claim="The figure of the front page. All train at a rate of 0.01, the best of three for learned weights "
    f"(`beyond.transformer`). 2, 8, 16, 64 and 256 options take 1, 3, 4, 6 and 8 bits. {_ROUNDED} A ticket has in "
    "float32 what is not selected. Where kernels alone are selected, weights rounded to 6 bits take fewer bytes than a "
    "ticket of K = 16, and have a smaller loss. Where embeddings are selected too, a ticket of K = 64 takes fewer "
    "bytes than weights rounded to 6 bits, and has a smaller loss.",
    trials=3,
    result="last_test_loss",
    epochs=(EPOCHS,),
    observes=("sizes", "quantized"),
)

TRANSFORMER = Figure(
    name="beyond.transformer",
    title="A transformer that is never trained, on text",
    kind="against",
    axis="bits per connection",
    panels=(
        Panel(
            title="0.40 million parameters, kernels selected",
            lines=(
                _LEARNED,
                _line("nearest, uniform options", nearest, 2, 8, 64, 256),
                _line("nearest, normal options", nearest, 8, 64, 256, **_NORMAL),
                _line("nearest, normal options, twice as wide", nearest, 64, 256, scale_factor=2.0, **_NORMAL),
                _line("nearest, Glorot's scale", nearest, 64, distribution="glorot_uniform"),
                _line("uniform initial scores", uniform, 8, 64),
                _line("uniform initial scores, Glorot's scale", uniform, 8, distribution="glorot_uniform"),
                _line("explicit scores", uniform, 8, scores="explicit"),
                Line(label="edge-popup, half kept", runs={1: edge_popup()}),
            ),
        ),
        Panel(
            title="Embeddings and positions selected too",
            lines=(
                _LEARNED,
                _line("nearest, uniform options, all selected", nearest, 8, 64, where="all"),
                _line("nearest, normal options, all selected", nearest, 64, 256, where="all", **_NORMAL),
                Line(label="edge-popup, all selected", runs={1: edge_popup(where="all")}),
            ),
        ),
        Panel(
            title="At a rate of 0.01",
            lines=(
                _LEARNED_FAST,
                _line("nearest, normal options", nearest, 64, **_FAST, **_NORMAL),
                _line("nearest, bell options", nearest, 8, 64, **_BELL),
                _line("nearest, stratified options", nearest, 8, 64, 1024, **_STRATIFIED),
                _line("nearest, bell options, all selected", nearest, 64, where="all", **_BELL),
            ),
        ),
        Panel(
            title="From learned weights",
            lines=(
                _LEARNED,
                _line("given, without a step", given, 16, 64, 256, result="untrained_test_loss"),
                _line("given, a tenth of the steps", given, 16, 64, 256),
                _rounded(learning_rate=RATES[1]),
            ),
        ),
    ),
    claim=(
        "Every network starts from the same initializers, and trains for 2,000 steps of Adam but where a row says "
        "otherwise. Learned weights that were rounded afterwards are what a ticket has to compete with: they need no "
        f"training by selection. {_ROUNDED}"
    ),
    trials=3,
    result="last_test_loss",
    epochs=(1, 2, 4, 6, 8, EPOCHS),
    observes=("sizes", "latent", "quantized"),
)

LARGE = Figure(
    name="beyond.transformer_large",
    title="A larger transformer that is never trained, on text",
    kind="against",
    axis="bits per connection",
    panels=(
        Panel(
            title="2.2 million parameters, kernels selected",
            lines=(
                Line(
                    label="learned weights",
                    runs={"any": tuple(learned(learning_rate=rate, **WIDE) for rate in RATES[:2])},
                    flat=True,
                ),
                _line("nearest, uniform options", nearest, 8, 64, learning_rate=2e-3, **WIDE),
                _line("nearest, normal options", nearest, 64, learning_rate=2e-3, **_NORMAL, **WIDE),
                _rounded(learning_rate=RATES[1], **WIDE),
            ),
        ),
    ),
    claim="",
    trials=1,
    result="last_test_loss",
    epochs=(EPOCHS,),
    observes=("sizes", "quantized"),
)

_COMPARED = (
    Line(label="learned weights", runs={"any": learned(learning_rate=RATES[1])}),
    Line(label="nearest, uniform options, K = 64", runs={"any": nearest(64)}),
    Line(label="nearest, normal options, K = 64", runs={"any": nearest(64, **_NORMAL)}),
    Line(label="nearest, uniform options, K = 8", runs={"any": nearest(8)}),
    Line(label="nearest, Glorot's scale, K = 64", runs={"any": nearest(64, distribution="glorot_uniform")}),
    Line(label="uniform initial scores, K = 8", runs={"any": uniform(8)}),
    Line(label="explicit scores, K = 8", runs={"any": uniform(8, scores="explicit")}),
)

TRAINING = Figure(
    name="beyond.transformer_training",
    title="How a transformer that is never trained learns",
    kind="over_epochs",
    axis="epoch of 200 steps",
    panels=(
        Panel(title="Learning curves", lines=_COMPARED, over="curve/test_loss"),
        Panel(title="How selections settle", lines=_COMPARED, over="curve/changed"),
        Panel(title="What rounding costs", lines=_COMPARED, over="latent"),
    ),
    claim=(
        "A latent value has the gradient of the weight, and Adam moves it as it would move the weight; the option "
        "nearest to it is the weight. The gradient of a score is that of the weight times its option, and Adam divides "
        "it by its own size: so the option drops out, but for its sign. All scores of a connection whose options have "
        "one sign rise and fall together, by steps that say nothing of how large the options are, and no rounding of a "
        "learned weight comes of it. Factored scores with uniform initial scores are between the two: their latent "
        "value grows against initial scores that do not know the options, until the largest or the smallest is chosen. "
        "With options at another scale than that of the initializer, the nearest one is far, or all of them are small."
    ),
    trials=3,
    result="last_test_loss",
)

FIGURES = (FRONT, TRANSFORMER, TRAINING, LARGE)
