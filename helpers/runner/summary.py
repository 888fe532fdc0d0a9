"""What a grid of runs comes to: one table of all of them, and one figure of what moved with what."""

import pandas as pd

from helpers.runner.paths import write_atomically

PANELS = 4  # results that a figure shows; the table holds all
COLOURS = 8  # combinations of the other parameters that it tells apart


def of_runs(pairs):
    """The finished runs of a grid as {notebook: (table, names of the parameters)}.

    pairs : (job, row); the row's values are the figures of `notebook.band` and `claims.record`
    """
    found = {}
    for job, row in pairs:
        if row["status"] != "failed":
            line = {**job["parameters"], **row["values"], "seconds": row["seconds"]}
            found.setdefault(job["source"].stem, []).append((line, list(job["parameters"])))
    return {stem: (pd.DataFrame([line for line, _ in lines]), lines[0][1]) for stem, lines in found.items()}


def write(table, parameters, folder, name):
    """Write NAME.csv with all rows and NAME.svg with results against parameters; returns the means as text.

    table      : DataFrame, a row a run: its parameters and its results
    parameters : the columns of the table that were chosen; `seed` repeats a run, the others are compared
    folder     : where the two files go
    """
    table = table.drop(columns=[column for column in parameters if isinstance(table[column].iloc[0], list)])
    given = [column for column in parameters if column in table and column != "seed" and table[column].nunique() > 1]
    results = [column for column in table.select_dtypes("number") if column not in parameters]
    write_atomically(folder / f"{name}.csv", table.to_csv(index=False))
    results = sorted(results, key=lambda column: column == "seconds")  # the time last
    if results:
        moving = [column for column in results if table[column].nunique() > 1] or results
        _draw(table, given, moving[:PANELS], folder / f"{name}.svg")
    if not given or not results:
        return f"{len(table)} runs"
    groups = table.groupby(given, dropna=False, sort=False)
    means = groups[results].mean().assign(runs=groups.size()).reset_index()
    return means.to_string(index=False, float_format="%.4g", max_rows=60)


def _draw(table, given, results, path):
    """A panel a result: its mean with a 95 % interval over seeds, against the parameter with most values."""
    import matplotlib.pyplot as plt
    import seaborn

    from helpers import plots

    plots.style()
    along, *rest = sorted(given, key=lambda column: -table[column].nunique()) or [None]
    others = table[rest].map(str).agg(", ".join, axis=1) if rest else None  # map: a missing one is a text, too
    others = others if rest and others.nunique() <= COLOURS else None
    figure, axes = plt.subplots(1, len(results), figsize=(4.2 * len(results), 3.6), squeeze=False, layout="constrained")
    for ax, result in zip(axes[0], results, strict=True):
        place = table[along] if along else pd.Series("all", table.index)
        if pd.api.types.is_numeric_dtype(place):
            seaborn.lineplot(
                x=place, y=table[result], hue=others, ax=ax, marker="o", errorbar=("ci", 95), err_style="bars", seed=0
            )
        else:
            seaborn.pointplot(
                x=place.astype(str), y=table[result], hue=others, ax=ax, linestyle="none", errorbar=("ci", 95), seed=0
            )
            ax.tick_params("x", rotation=30)
        ax.set(xlabel=along or "", ylabel=result)
        if ax.get_legend():  # its lines are the other parameters' values
            ax.get_legend().set_title(", ".join(rest))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)
