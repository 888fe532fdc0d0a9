"""The course as one folder of HTML pages that open by double click, without a server and without the network.

Pages come from the committed notebooks and their stored outputs; nothing is run. Diagrams and formulas are drawn in the
browser by two scripts that packages of the extra `site` carry: each is copied into the folder when the site is built.
"""

import base64
import html
import importlib.metadata
import json
import os
import re
import shutil
import string
import struct
from pathlib import Path

import pandas as pd
from bs4 import BeautifulSoup, NavigableString, Tag
from nbconvert.filters import Highlight2HTML, ansi2html
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import v4
from pygments.formatters import HtmlFormatter

from helpers.runner import checks, report
from helpers.runner.parameters import identifier, notebooks
from helpers.runner.paths import Refused, root

TEMPLATES = Path(__file__).parent / "templates"
ASSETS = "assets"  # the folder of styles and scripts beside the pages of a run
LABELS = ("parameters", "injected-parameters", "solution", "checker")
SCRIPTS = {  # what a page needs them for: package, file in it
    "formulas": ("sphinx-mathjax-offline", "sphinx-mathjax-offline/static/mathjax/tex-svg-full.js"),
    "diagrams": ("mermaidx", "mermaidx/assets/mermaid.js"),
}
INSTALL = "python -m pip install --no-deps -c constraints.txt mermaidx sphinx-mathjax-offline"
MATH = r"\$\$.+?\$\$|\$[^$]+\$"
UNLINKED = ["a", "code", "pre", "table", "summary", "script", "h1", "h2", "h3", "h4", "h5", "h6"]


class Renderer(IPythonRenderer):
    """nbconvert's markdown, but the source of a diagram is escaped: its <br/> stays text until mermaid reads it."""

    def block_mermaidjs(self, code):
        return f'<pre class="mermaid">{html.escape(code)}</pre>\n'


# --- cells: a page is a list of parts, prose as BeautifulSoup and everything else as text -----------------------------


def markdown(text):
    """Markdown with formulas as HTML."""
    return MarkdownWithMath(renderer=Renderer(escape=False, exclude_anchor_links=True)).render(text)


def inline(text):
    """One line of markdown as HTML, without the paragraph around it."""
    return markdown(text).strip().removeprefix("<p>").removesuffix("</p>")


def prose(content):
    """HTML in which formulas are drawn and terms are linked, as a part of a page."""
    return BeautifulSoup(f'<div class="prose math">{content}</div>', "html.parser")


def part(cell, pictures):
    """A cell of a notebook as a part; its figures are put into `pictures`, {file name: bytes}.

    pictures : a dict with the key "prefix", such as "06_"; None: the figures stand in the page itself
    """
    if cell.cell_type == "markdown":
        return prose(markdown(cell.source))
    if not cell.source.strip():
        return ""
    tags = cell.metadata.get("tags", [])
    label = next((tag for tag in LABELS if tag in tags), "")
    code = Highlight2HTML()(cell.source, language="python3")
    if label == "solution" or cell.metadata.get("jupyter", {}).get("source_hidden"):
        code = f'<details class="fold"><summary>{label.capitalize() or "Code"}</summary>{code}</details>'
    elif label:
        code = f'<div class="labelled"><span class="tag">{label}</span>{code}</div>'
    shown = "".join(output_html(output, pictures) + numbers_html(output) for output in cell.outputs)
    return code + (f'<div class="output">{shown}</div>' if shown else "")


def output_html(output, pictures):
    """A stored output as HTML: the richest form of it that stands still."""
    if output.output_type == "stream":
        return f"<pre>{ansi2html(output.text)}</pre>"
    if output.output_type == "error":
        return f"<pre>{ansi2html(chr(10).join(output.traceback))}</pre>"
    data = output.data
    if "image/png" in data:
        picture = base64.b64decode(data["image/png"])
        width, height = struct.unpack(">II", picture[16:24])
        alt = output.metadata.get("image/png", {}).get("alt") or output.metadata.get("alt", "")
        size = f'alt="{html.escape(alt)}" width="{width}" height="{height}"'
        if pictures is None:
            return f'<figure><img src="data:image/png;base64,{base64.b64encode(picture).decode()}" {size}></figure>'
        name = f"{pictures['prefix']}{len(pictures)}.png"
        pictures[name] = picture
        return f'<figure><a href="images/{name}"><img src="images/{name}" {size} loading="lazy"></a></figure>'
    if "text/html" in data:
        plain = re.sub(r"<style.*?</style>", "", data["text/html"], flags=re.DOTALL).replace(' border="1"', "")
        return f'<div class="scroll" tabindex="0">{plain}</div>'
    if "text/markdown" in data:
        return f'<div class="math">{markdown(data["text/markdown"])}</div>'
    return f"<pre>{html.escape(data.get('text/plain', ''))}</pre>"


def numbers_html(output):
    """The table that a figure carries, folded."""
    table = checks.table(output) if "image/png" in output.get("data", {}) else ""
    return f'<details class="fold"><summary>Numbers</summary><pre>{html.escape(table)}</pre></details>' if table else ""


# --- what is done to a whole page -----------------------------------------------------------------------------------


def texts(parts):
    """The parts of a page that are prose."""
    return [each for each in parts if isinstance(each, BeautifulSoup)]


def number_headings(parts):
    """Give every heading an id of its own; returns (level, text, id) of those of level 2 and 3."""
    found, used = [], set()
    for heading in (heading for soup in texts(parts) for heading in soup.find_all(["h1", "h2", "h3", "h4"])):
        text = heading.get_text(" ", strip=True)
        plain = re.sub(r"\W+", "-", text.lower()).strip("-") or "section"
        name = next(name for name in [plain, *(f"{plain}-{n}" for n in range(2, 1000))] if name not in used)
        used.add(name)
        heading["id"] = name
        if heading.name in ("h2", "h3"):
            found.append((int(heading.name[1]), text, name))
    return found


def tidy(soup, pages):
    """Let tables scroll in boxes of their own, turn links to files of the course into links to their pages.

    pages : {file name in the course: file name of its page}; links to other files lose their address
    """
    for table in soup.find_all("table"):
        table.wrap(soup.new_tag("div", attrs={"class": "scroll", "tabindex": "0"}))
    for link in soup.find_all("a", href=True):
        address, _, anchor = link["href"].partition("#")
        if not address or re.match(r"\w+:", address):
            continue
        page = pages.get(address.rsplit("/", 1)[-1])
        if page or address.endswith(".html"):
            link["href"] = (page or address) + (f"#{anchor}" if anchor else "")
        else:
            link.unwrap()


def slug(term):
    """The id of a term on the glossary page.

    >>> slug("macro-F1")
    'term-macro-f1'
    """
    return "term-" + re.sub(r"\W+", "-", term.lower())


def link_terms(parts, glossary):
    """Link the first use of each term in prose to the glossary; returns {term: id of the link}.

    Code, formulas, tables, headings and links are no prose. A longer term wins: "learning rate" is not "rate".
    glossary : DataFrame english, chinese, meaning
    """
    rows = {row.english.lower(): row for row in glossary.itertuples()}
    names = "|".join(re.escape(term) for term in sorted(rows, key=len, reverse=True))
    pattern = re.compile(rf"{MATH}|(?<![\w-])({names})(?:e?s)?(?![\w-])", re.IGNORECASE | re.DOTALL)
    linked = {}
    for text in [text for soup in texts(parts) for text in soup.find_all(string=True)]:
        if type(text) is not NavigableString or text.find_parent(UNLINKED):
            continue
        pieces, end = [], 0
        for found in pattern.finditer(text):
            row = rows.get((found[1] or "").lower())
            if row is None or row.english in linked:
                continue
            linked[row.english] = f"use-{slug(row.english)}"
            link = Tag(name="a", attrs={"href": f"glossary.html#{slug(row.english)}", "class": "term"})
            link.attrs |= {"id": linked[row.english], "title": f"{row.chinese}: {row.meaning}"}
            link.string = found[0]
            pieces += [NavigableString(text[end : found.start()]), link]
            end = found.end()
        if pieces:
            text.replace_with(*pieces, NavigableString(text[end:]))
    return linked


def sections(parts, title):
    """What a page says, for the search: [heading, id, text] of every part that a heading opens."""
    found = [[title, "", []]]
    for each in parts:
        if isinstance(each, str):
            found[-1][2] += [html.unescape(alt) for alt in re.findall(r'<img [^>]*alt="([^"]*)"', each)]
            continue
        for node in each.descendants:
            if node.name in ("h2", "h3"):
                found.append([node.get_text(" ", strip=True), node["id"], []])
            elif type(node) is NavigableString and not node.find_parent(["h2", "h3", "pre"]):
                found[-1][2].append(str(node))
    for row in found:
        plain = re.sub(r"\$\$.+?\$\$", " ", " ".join(row[2]), flags=re.DOTALL).replace("$", "")
        row[2] = " ".join(plain.split())
    return found


def contents_html(headings):
    """The table of contents of a page."""
    if len(headings) < 3:
        return ""
    rows = "".join(
        f'<li{" class=deep" if level == 3 else ""}><a href="#{name}">{html.escape(text)}</a></li>'
        for level, text, name in headings
    )
    return f'<details class="contents" open><summary>On this page</summary><ol>{rows}</ol></details>'


def page_html(title, body, headings=(), neighbours="", *, top=None, drawn=True):
    """A whole page; scripts for formulas and diagrams only where there are some.

    top   : None: a page of the site; else one of a run, without search: the way to the run's folder, "" or "../"
    drawn : False: formulas and diagrams stay as they are typed
    """
    needs = {"formulas": "$" in body, "diagrams": 'class="mermaid"' in body}
    assets = "" if top is None else f"{top}{ASSETS}/"
    files = ["site.js"] * (top is None) + [Path(SCRIPTS[need][1]).name for need in SCRIPTS if needs[need] and drawn]
    return string.Template((TEMPLATES / "page.html").read_text(encoding="utf8")).substitute(
        title=html.escape(title),
        assets=assets,
        scripts="\n".join(f'<script src="{assets}{file}" defer></script>' for file in files),
        home=f"{top or ''}index.html",
        tools=(TEMPLATES / "tools.html").read_text(encoding="utf8") if top is None else "",
        contents=contents_html(headings),
        body=body,
        neighbours=neighbours,
    )


# --- pages ----------------------------------------------------------------------------------------------------------


def neighbours_html(paths, place):
    """Links to the notebook before and the notebook after."""
    links = []
    for step, words in ((-1, "← {}"), (1, "{} →")):
        if 0 <= place + step < len(paths):
            path = paths[place + step]
            name = f"{identifier(path)} · {report.header(path)['title']}"
            links.append(f'<a href="{path.stem}.html">{words.format(html.escape(name))}</a>')
        else:
            links.append("<span></span>")
    return f'<nav class="neighbours" aria-label="neighbouring notebooks">{"".join(links)}</nav>'


def index_body(readme):
    """The start page: what the course is, three paths, and a card for every notebook."""
    start = readme.split("\n## ")
    intro = re.sub(r"^# .*\n", "", start[0])
    paths = next((part.partition("\n")[2] for part in start if part.startswith("Three paths")), "")
    times, cards = report.timings(), []
    for path in notebooks().values():
        first = report.header(path)
        objectives = [
            re.sub(r"^\d+\.\s*", "", each.strip()) for each in re.split(r"<br\s*/?>", first["You will learn"])
        ]
        minutes = f" · {times[path.stem]['seconds'] / 60:.1f} minutes to run" if path.stem in times else ""
        title = f"{identifier(path)} · {inline(first['title'])}"
        cards.append(
            f'<section class="card"><h3><a href="{path.stem}.html">{title}</a></h3>'
            f'<p class="facts">{inline(first["Document section"])}<br>needs {inline(first["Needs"])}{minutes}</p>'
            f'<p lang="zh">{inline(first["摘要"])}</p><details><summary>You will learn</summary><ol>'
            f"{''.join(f'<li>{inline(each)}</li>' for each in objectives)}</ol></details></section>"
        )
    return (
        f"<h1>Choosing fine-tuning data</h1>{markdown(intro)}<h2>Three paths</h2>{markdown(paths)}"
        f"<h2>Notebooks</h2>{''.join(cards)}"
    )


def glossary_body(glossary, uses):
    """The glossary: each term with its Chinese name, what it means, and where it is first used.

    uses : {term: [(label, address)]}
    """
    rows = []
    for row in glossary.sort_values("english", kind="stable", key=lambda column: column.str.lower()).itertuples():
        links = " ".join(f'<a href="{address}">{label}</a>' for label, address in uses.get(row.english, []))
        cells = html.escape(row.english), html.escape(row.chinese), html.escape(row.meaning)
        rows.append(
            f'<tr id="{slug(row.english)}"><th scope="row">{cells[0]}</th><td lang="zh">{cells[1]}</td>'
            f'<td>{cells[2]} <span class="uses">{links}</span></td></tr>'
        )
    return (
        "<h1>Glossary · 术语表</h1><p>The numbers lead to the first use of a term in each notebook.</p>"
        "<table><thead><tr><th>English</th><th>中文</th><th>meaning</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def document_body(name):
    """A document of the course, such as README.md, as HTML; its map of notebooks is the start page's."""
    path = root() / name
    text = path.read_text(encoding="utf8") if path.exists() else f"# {name}\n\nThe course holds no {name} yet."
    return markdown(report.MAP.sub("[The map](index.html) is the start page.", text))


def scripts():
    """The third-party scripts as {file name: path}; Refused if a package is missing."""
    found = {}
    for package, file in SCRIPTS.values():
        try:
            path = Path(importlib.metadata.distribution(package).locate_file(file))
        except importlib.metadata.PackageNotFoundError:
            raise Refused(f"the site needs the package {package}, which is not installed: {INSTALL}") from None
        if not path.exists():
            raise Refused(f"the package {package} carries no {file}: install the version of constraints.txt")
        found[path.name] = path
    return found


def styles():
    """The style sheet, with the colours of code in light and in dark."""
    light, dark = HtmlFormatter(style="default"), HtmlFormatter(style="github-dark")
    rules = [line for line in light.get_style_defs(".highlight").splitlines() if line.startswith(".highlight .")]
    rules += [
        line for line in dark.get_style_defs('[data-theme="dark"] .highlight').splitlines() if ".highlight ." in line
    ]
    return (TEMPLATES / "site.css").read_text(encoding="utf8") + "\n".join(rules) + "\n"


def render():
    """The site's files as {name: text or bytes}, the third-party scripts aside."""
    paths = list(notebooks().values())
    pages = {path.name: f"{path.stem}.html" for path in paths}
    pages |= {"README.md": "about.html", "TEACHING.md": "teaching.html"}
    glossary = pd.read_csv(root() / "data" / "glossary.csv")
    readme = (root() / "README.md").read_text(encoding="utf8")
    files, uses, index = {}, {}, {"pages": [], "sections": []}

    def add(name, title, parts, neighbours="", terms=False):
        headings = number_headings(parts)
        for soup in texts(parts):
            tidy(soup, pages)
        index["sections"] += [[len(index["pages"]), *section] for section in sections(parts, title)]
        index["pages"].append([name, title])
        if terms:
            for term, anchor in link_terms(parts, glossary).items():
                uses.setdefault(term, []).append((name.partition("_")[0], f"{name}#{anchor}"))
        files[name] = page_html(title, "\n".join(map(str, parts)), headings, neighbours)

    for place, path in enumerate(paths):
        pictures = {"prefix": f"{identifier(path)}_"}
        parts = [part(cell, pictures) for cell in v4.reads(path.read_text(encoding="utf8")).cells]
        title = f"{identifier(path)} · {report.header(path)['title']}"
        add(f"{path.stem}.html", title, parts, neighbours_html(paths, place), terms=True)
        files |= {f"images/{name}": picture for name, picture in pictures.items() if name != "prefix"}
    add("index.html", "Choosing fine-tuning data", [prose(index_body(readme))])
    add("teaching.html", "Teaching", [prose(document_body("TEACHING.md"))])
    add("about.html", "About", [prose(document_body("README.md"))])
    place = len(index["pages"])
    add("glossary.html", "Glossary · 术语表", [prose(glossary_body(glossary, uses))])
    index["sections"] += [
        [place, f"{row.english} · {row.chinese}", slug(row.english), row.meaning] for row in glossary.itertuples()
    ]
    files["search-index.js"] = f"window.SEARCH = {json.dumps(index, ensure_ascii=False, separators=(',', ':'))};\n"
    files["site.css"] = styles()
    files |= {name: (TEMPLATES / name).read_text(encoding="utf8") for name in ("page.js", "site.js", "theme.js")}
    return files


def build(folder):
    """Write the site into a folder, all of it or nothing; returns its size in bytes.

    A folder that holds something else than a site is refused.
    """
    folder = folder.resolve()
    if folder.is_file() or folder.exists() and any(folder.iterdir()) and not (folder / "search-index.js").exists():
        raise Refused(f"{folder} holds something else than a site: choose an empty or a new folder")
    third_party = scripts()
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        for name, content in render().items():
            target = unfinished / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else content.encode("utf8"))
        for name, path in third_party.items():
            shutil.copyfile(path, unfinished / name)
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
