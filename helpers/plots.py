"""Show: every type of figure once, readable without colour, with Chinese rendered as Chinese and alt text on each.

A figure's caption and the table of its numbers stand in the notebook; its title states its one message.
"""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

# one look a method, the same in every notebook: colour (Okabe & Ito 2008, safe for the colour-blind), marker, line
LOOKS = {
    "random": ("#000000", "o", "-"),
    "scratch": ("#E69F00", "s", "--"),
    "TF-IDF": ("#56B4E9", "^", "-."),
    "head": ("#009E73", "D", ":"),
    "full": ("#D55E00", "v", "-"),
    "last": ("#0072B2", "s", "--"),
    "lora": ("#CC79A7", "P", "-."),
    "encoder": ("#009E73", "D", ":"),
    "both": ("#CC79A7", "P", "-"),
    "train": ("#0072B2", "o", "-"),
    "valid": ("#D55E00", "s", "--"),
    "test": ("#000000", "v", "-."),
    "raw": ("#999999", "o", ":"),
    "distinct": ("#0072B2", "s", "--"),
    "cleaned": ("#D55E00", "v", "-"),
    "right": ("#0072B2", "o", "-"),
    "as printed": ("#CC79A7", "X", "--"),
    "cross-entropy": ("#0072B2", "o", "-"),
    "squared error": ("#D55E00", "s", "--"),
    "SGD": ("#000000", "o", "-"),
    "momentum": ("#56B4E9", "^", "-."),
    "Nesterov": ("#009E73", "D", ":"),
    "RMSProp": ("#E69F00", "s", "--"),
    "Adam": ("#D55E00", "v", "-"),
    "32 bands of 2": ("#0072B2", "o", "-"),
    "16 bands of 4": ("#D55E00", "s", "--"),
    "8 bands of 8": ("#009E73", "^", "-."),
    "stratified": ("#999999", "o", "--"),
    "prototypes": ("#56B4E9", "^", "-."),
    "k_center": ("#0072B2", "X", ":"),
    "facility_location": ("#0072B2", "s", "-"),
    "longest": ("#999999", ">", ":"),
    "quality": ("#CC79A7", "P", "--"),
    "quality_diversity": ("#CC79A7", "v", "-"),
    "quality_spread": ("#CC79A7", "s", "-."),
    "el2n": ("#E69F00", "X", ":"),
    "forgetting": ("#E69F00", "<", "-."),
    "gradient_matching": ("#009E73", "^", "--"),
    "agreement": ("#009E73", "D", "-."),
    "agree_then_herd": ("#D55E00", "v", "-"),
    "herding": ("#56B4E9", "v", ":"),
    "TF-IDF and encoder, stacked": ("#CC79A7", "P", "--"),
    "all four, stacked": ("#D55E00", "v", "-"),
    "margin": ("#CC79A7", "P", "-"),
    "density_weighted": ("#E69F00", "<", "--"),
    "rows alone": ("#000000", "o", "-"),
    "repeats": ("#999999", ">", ":"),
    "class weights": ("#999999", "D", "--"),
    "delete": ("#0072B2", "s", "-"),
    "swap": ("#56B4E9", "^", "-."),
    "insert": ("#009E73", "D", ":"),
    "replace": ("#D55E00", "v", "--"),
    "drop span": ("#CC79A7", "P", "-."),
    "mixup": ("#E69F00", "X", "--"),
    "mixup of neighbours": ("#000000", "<", ":"),
    "100 rows": ("#56B4E9", "^", "-."),
    "500 rows": ("#0072B2", "o", "-"),
    "2,000 rows": ("#000000", "s", "--"),
    "TPE": ("#0072B2", "s", "--"),
    "TPE and halving": ("#D55E00", "v", "-."),
    "common (positive)": ("#0072B2", "o", "-"),
    "rare (negative)": ("#D55E00", "s", "--"),
}
SPARE = [("#0072B2", "X", "-"), ("#CC79A7", "P", "--"), ("#F0E442", "<", "-."), ("#999999", ">", ":")]


def look(name, position=0):
    """Colour, marker and line style of a method; one without an entry takes a spare look by position."""
    return LOOKS.get(name, SPARE[position % len(SPARE)])


def style():
    """Seaborn's white grid at 100 dpi, with a font that has Chinese characters behind the default one."""
    import logging
    from importlib.util import find_spec
    from pathlib import Path

    from matplotlib import font_manager

    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # the Chinese font comes in one weight

    sns.set_theme(style="whitegrid", context="notebook", font_scale=0.9)
    folder = Path(find_spec("pylopdf_fonts_zh_cn").origin).parent
    font_manager.fontManager.addfont(folder / "NotoSansSC-Regular.otf")
    plt.rcParams |= {
        "font.family": ["DejaVu Sans", "Noto Sans SC"],
        "axes.unicode_minus": False,
        "figure.dpi": 100,
        "figure.figsize": (7.0, 3.8),
        "figure.constrained_layout.use": True,
        "svg.hashsalt": "course",
    }


def show(figure, alt, table=None):
    """Display a figure with `alt`, one sentence that says what it shows, for those who cannot see it.

    table : DataFrame or Series of the numbers that it shows: to three digits and eight rows the figure's text, which
            nbval compares and a screen reader reads; None leaves the table to the rest of the cell
    """
    from IPython.core.pylabtools import print_figure
    from IPython.display import display

    metadata = {"image/png": {"alt": alt}}
    if table is None:
        display(figure, metadata=metadata)
    else:
        picture = {"image/png": print_figure(figure, base64=True), "text/plain": as_text(table)}
        display(picture, metadata=metadata, raw=True)
    plt.close(figure)


def as_text(table):
    """A DataFrame or a Series as text, its numbers to three digits; of more than eight rows the first and last four.

    >>> import pandas as pd
    >>> print(as_text(pd.DataFrame({"accuracy": [0.81324, 0.7], "rows": [12_345, 50]}, index=["random", "longest"])))
             accuracy   rows
    random      0.813  12345
    longest     0.700     50
    """
    rounded = table.map(lambda value: float(f"{value:.3g}") if isinstance(value, (float, np.floating)) else value)
    return rounded.to_string(max_rows=8)


def lines(table, x, y, by, *, low=None, high=None, title, xlabel, ylabel, log_x=False, axes=None):
    """Lines with interval bands: y against x, one line a value of column `by`; returns the figure.

    table : DataFrame in long form; `low` and `high` name the columns of the interval's ends
    axes  : matplotlib axes of a figure with several panels to draw on; None makes a figure of its own
    """
    axes = axes or plt.subplots()[1]
    for position, (name, part) in enumerate(table.groupby(by, sort=False)):
        colour, marker, dash = look(name, position)
        axes.plot(part[x], part[y], color=colour, marker=marker, linestyle=dash, label=name)
        if low:
            axes.fill_between(
                part[x].astype(float), part[low].astype(float), part[high].astype(float), color=colour, alpha=0.15
            )
    if log_x:
        axes.set_xscale("log")
        ticks = sorted(table[x].unique())
        axes.set_xticks(ticks, [f"{t:,}" for t in ticks])
        axes.minorticks_off()
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axes.legend(title=None)
    return axes.figure


def intervals(table, effect, low, high, label, *, title, xlabel, reference=0.0):
    """A dot with its interval for each row, beside a line at `reference` (no effect); returns the figure."""
    figure, axes = plt.subplots(figsize=(7.0, 0.8 + 0.45 * len(table)))
    position = np.arange(len(table))[::-1]
    error = [table[effect] - table[low], table[high] - table[effect]]
    axes.errorbar(table[effect], position, xerr=error, fmt="o", color="#0072B2", capsize=4)
    axes.axvline(reference, color="#666666", linestyle="--", linewidth=1)
    axes.set_yticks(position, table[label])
    axes.set_ylim(-0.6, len(table) - 0.4)
    axes.set(title=title, xlabel=xlabel, ylabel="")
    return figure


def bars(table, value, label, *, title, xlabel, format="{:,.0f}"):
    """One horizontal bar a row, its value written at its end; returns the figure. Serves the audit funnel too."""
    figure, axes = plt.subplots(figsize=(7.0, 0.8 + 0.45 * len(table)))
    drawn = axes.barh(table[label], table[value], color="#56B4E9", edgecolor="#000000", linewidth=0.6)
    axes.bar_label(drawn, [format.format(v) for v in table[value]], padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set(title=title, xlabel=xlabel, ylabel="")
    return figure
