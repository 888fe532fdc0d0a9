"""Pages of a run: what came out of each notebook, as the site shows it, and an index; they open without the network."""

import html
import shutil

from helpers.runner import report, site
from helpers.runner.paths import Refused, write_atomically


def undrawn():
    """A sentence on what formulas and diagrams lack, "" where their scripts are installed."""
    try:
        site.scripts()
    except Refused:
        return f"Formulas and diagrams are shown as they are typed, since their scripts are missing: {site.INSTALL}"
    return ""


def write_assets(folder):
    """Put what all pages of a run share into a folder of its own in the run's folder."""
    assets = folder / site.ASSETS
    write_atomically(assets / "site.css", site.styles())
    ours = [site.TEMPLATES / name for name in ("page.js", "theme.js")]
    for path in ours if undrawn() else [*ours, *site.scripts().values()]:
        shutil.copyfile(path, assets / path.name)


def page(notebook, name, top):
    """An executed notebook (as nbformat reads it) as HTML, its figures in it.

    name : title of the page
    top  : the way from the page to the run's folder, "" or "../"
    """
    parts = [site.part(cell, None) for cell in notebook.cells]
    headings = site.number_headings(parts)
    for soup in site.texts(parts):
        site.tidy(soup, {})
    body, note = "\n".join(map(str, parts)), undrawn()
    body = f"<p><em>{html.escape(note)}</em></p>\n{body}" if note else body
    return site.page_html(name, body, headings, top=top, drawn=not note)


def write_index(folder, pairs, drawn=()):
    """Write index.html in the folder of a run: the table, each notebook linked to its page or to its error.

    pairs : (job, row)
    drawn : figures in the folder that stand below the table
    """
    lines = []
    for job, row in pairs:
        target = job["target"].with_suffix(".error.txt" if row["status"] == "failed" else ".html")
        name, *rest = map(html.escape, report.columns(row))
        link = f'<a href="{html.escape(target.relative_to(folder).as_posix())}">{name}</a>'
        lines.append(f"<tr><td>{link}</td>{''.join(f'<td>{cell}</td>' for cell in rest)}</tr>")
    headings = "".join(f"<th>{heading}</th>" for heading in report.HEADINGS)
    table = f'<div class="scroll"><table><tr>{headings}</tr>\n{"".join(lines)}\n</table></div>'
    figures = [
        f'<h2>{path.stem}</h2><figure><a href="{path.name}">'
        f'<img src="{path.name}" alt="{path.stem}: results of the grid"></a></figure>'
        for path in drawn
    ]
    body = "\n".join(["<h1>Executed notebooks</h1>", table, *figures])
    write_atomically(
        folder / "index.html", site.page_html("Executed notebooks · Choosing fine-tuning data", body, top="")
    )
