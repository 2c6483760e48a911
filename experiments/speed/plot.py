"""The plot of the benchmark: time and memory of a training step against K."""

from pathlib import Path

from experiments.files import write_figure
from experiments.speed.measure import Row

# Of Okabe and Ito's colours, which colour-blind people can tell apart.
STYLES = {
    "learned": ("black", "--", ""),
    "explicit": ("#D55E00", "-", "o"),
    "factored, stored": ("#56B4E9", "-", "s"),
    "factored, seeded": ("#009E73", "-", "D"),
    "PyTorch, gates": ("#CC79A7", "-", "v"),
    "PyTorch, gather": ("#0072B2", "-", "^"),
}


def draw_speed(rows: list[Row], path: Path) -> None:
    """Draws one row of panels per network: step time and memory of learned weights and of slot machines."""
    from matplotlib.figure import Figure

    measured = {(row.network, row.k) for row in rows if row.variant == "factored, seeded"}
    rows = [row for row in rows if (row.network, row.k) in measured]
    networks = list(dict.fromkeys(row.network for row in rows))
    figure = Figure(figsize=(10, 0.4 + 3.4 * len(networks)), layout="constrained")
    panels = figure.subplots(len(networks), 2, squeeze=False)
    for network, (time, memory) in zip(networks, panels, strict=True):
        for variant, (color, line, marker) in STYLES.items():
            here = [row for row in rows if (row.network, row.variant) == (network, variant)]
            style = {"color": color, "linestyle": line, "marker": marker, "label": variant}
            if here:
                time.plot([row.k for row in here], [row.milliseconds for row in here], **style)
            if here and here[0].peak_megabytes is not None:
                memory.plot([row.k for row in here], [row.peak_megabytes for row in here], **style)
        ticks = sorted({row.k for row in rows if row.network == network})
        for axes, label in ((time, "milliseconds per training step"), (memory, "megabytes of a training step")):
            axes.set(xscale="log", yscale="log", xlabel="options per connection K", ylabel=label, title=network)
            axes.set_xticks(ticks, [str(k) for k in ticks])
            axes.minorticks_off()
            axes.grid(alpha=0.3)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(STYLES))
    write_figure(path, figure, dpi=120)
