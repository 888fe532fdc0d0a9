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
    for link, first, minutes in _mapped():
        section, needs = first.get("Document section", ""), first.get("Needs", "")
        lines.append(f"| {link} | {section} | {needs} | {minutes or 'not timed'} |")
    return _with_total(lines, "{} notebooks, one after the other")


def chinese_map_table():
    """The same for README.zh.md: title, document section, the first sentence of 摘要, needs, minutes."""
    lines = ["| 笔记本 | 文章章节 | 内容 | 先读 | 分钟 |", "|---|---|---|---|---|"]
    for link, first, minutes in _mapped():
        section, about = first.get("Document section", ""), first.get("摘要", "").partition("。")[0]
        needs = re.match(r"(?:\d\d[a-z]?[,; ]*)*", first.get("Needs", ""))[0].strip(",; ")
        lines.append(f"| {link} | {section} | {about} | {needs} | {minutes or '未计时'} |")
    return _with_total(lines, "{} 本，逐本运行 | ")


def _mapped():
    """Link, first cell and minutes of each notebook; minutes are "" where it is not timed."""
    times = timings()
    for path in notebooks().values():
        first = header(path)
        minutes = f"{times[path.stem]['seconds'] / 60:.1f}" if path.stem in times else ""
        yield f"[{identifier(path)} · {first['title']}](notebooks/{path.name})", first, minutes


def _with_total(lines, words):
    times = timings().values()
    total = sum(row["seconds"] for row in times) / 60
    return "\n".join([*lines, f"| {words.format(len(times))} | | | {total:.0f} |"]) + "\n"


def refresh_map():
    """Write the maps between the markers <!-- map --> and <!-- /map --> of README.md and, if there, README.zh.md."""
    for name, made in {"README.md": map_table, "README.zh.md": chinese_map_table}.items():
        path = root() / name
        if name != "README.md" and not path.exists():
            continue
        text = path.read_text(encoding="utf8") if path.exists() else ""
        if not MAP.search(text):
            raise Refused(f"{name} must hold the markers <!-- map --> and <!-- /map -->, each on a line of its own")
        write_atomically(path, MAP.sub(lambda found, made=made: found[1] + made() + found[2], text))
