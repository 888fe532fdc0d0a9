"""What a run leaves to read: the table, the timings file and the README's map of notebooks."""

import json
import re

from helpers.runner.checks import header_rows
from helpers.runner.parameters import identifier, notebooks
from helpers.runner.paths import Refused, root, write_atomically

HEADINGS = ["notebook", "seconds", "peak memory", "bands", "status"]
MAP = re.compile(r"(<!-- map -->\n).*?(<!-- /map -->)", re.DOTALL)


def columns(row):
    """The five texts that a row of the table shows."""
    bands = f"{row['inside']} inside, {row['outside']} outside" if row["inside"] + row["outside"] else "none"
    return [row["notebook"], f"{row['seconds']:.1f}", f"{row['peak_mib']:,} MiB", bands, row["status"]]


def table(rows):
    """The rows as aligned text, with a line for each error below."""
    lines = [HEADINGS, *map(columns, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([*text, *(f"{row['notebook']}: {row['error']}" for row in rows if row["error"])])


def header(path):
    """What the first cell of a notebook says: {"title": …, "Document section": …, "Needs": …, …}."""
    text = "".join(json.loads(path.read_text(encoding="utf8"))["cells"][0]["source"])
    title = re.match(r"# \d\d[a-z]? · (.+)", text)
    return {"title": title[1].strip() if title else "", **header_rows(text)}


def timings():
    """The committed timings: {stem: {"seconds": …, "peak_mib": …}}."""
    path = root() / "notebooks" / "timings.json"
    return json.loads(path.read_text(encoding="utf8")) if path.exists() else {}


def record_timings(rows):
    """Enter the seconds and memory of stored notebooks, and drop notebooks that are gone."""
    new = {row["notebook"]: {"seconds": row["seconds"], "peak_mib": row["peak_mib"]} for row in rows}
    stems = {path.stem for path in notebooks().values()}
    merged = {stem: figures for stem, figures in sorted({**timings(), **new}.items()) if stem in stems}
    write_atomically(root() / "notebooks" / "timings.json", json.dumps(merged, indent=1) + "\n")


def map_table():
    """The README's map of notebooks: title, document section, needs and minutes on two cores."""
    lines = ["| notebook | document section | needs | minutes |", "|---|---|---|---|"]
    times = timings()
    for path in notebooks().values():
        first = header(path)
        minutes = f"{times[path.stem]['seconds'] / 60:.1f}" if path.stem in times else "not timed"
        link = f"[{identifier(path)} · {first['title']}](notebooks/{path.name})"
        lines.append(f"| {link} | {first.get('Document section', '')} | {first.get('Needs', '')} | {minutes} |")
    total = sum(row["seconds"] for row in times.values()) / 60
    lines.append(f"| {len(times)} notebooks, one after the other | | | {total:.0f} |")
    return "\n".join(lines) + "\n"


def refresh_map():
    """Write the map between the README's markers <!-- map --> and <!-- /map -->."""
    readme = root() / "README.md"
    text = readme.read_text(encoding="utf8") if readme.exists() else ""
    if not MAP.search(text):
        raise Refused("README.md must hold the markers <!-- map --> and <!-- /map -->, each on a line of its own")
    write_atomically(readme, MAP.sub(lambda found: found[1] + map_table() + found[2], text))
