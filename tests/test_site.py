"""The site is complete, asks for nothing from outside, and is drawn as it should be by a real browser."""

import html
import json
import re
import shutil
import string
import subprocess

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from nbformat import v4

from helpers.runner import checks, cli, parameters, site
from helpers.runner import pages as pages_of_a_run
from helpers.runner.paths import Refused, root

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
GLOSSARY = pd.DataFrame(
    [("rate", "率", "how far"), ("learning rate", "学习率", "how far one step goes"), ("LoRA", "低秩", "two matrices")],
    columns=["english", "chinese", "meaning"],
)


@pytest.fixture(scope="module")
def files():
    """The files of the site."""
    return site.render()


@pytest.fixture(scope="module")
def pages(files):
    """The pages alone."""
    return {name: text for name, text in files.items() if name.endswith(".html")}


# --- what stands in the files ---------------------------------------------------------------------------------------


def test_every_notebook_has_a_page_and_a_card(pages):
    stems = [path.stem for path in parameters.notebooks().values()]
    assert set(pages) == {f"{name}.html" for name in [*stems, "index", "glossary", "teaching", "about"]}
    assert re.findall(r'<h3 id="[^"]*"><a href="([^"]*)\.html">', pages["index.html"]) == stems
    assert len(re.findall(r'<p lang="zh">[^<]', pages["index.html"])) == len(stems)
    for before, after in zip(stems, stems[1:], strict=False):
        assert f'<a href="{after}.html">' in pages[f"{before}.html"].split('class="neighbours"')[1]
        assert f'<a href="{before}.html">' in pages[f"{after}.html"].split('class="neighbours"')[1]


def dead_links(pages, names):
    """Links and sources that lead to no file, or to no place in a page."""
    found = []
    for page, text in pages.items():
        for address in map(html.unescape, re.findall(r'<[^>]* (?:href|src)="([^"]*)"', text)):
            if re.match(r"(https?|mailto|data):", address):
                continue
            file, _, anchor = address.partition("#")
            file = file or page
            if file not in names or (anchor and f'id="{anchor}"' not in pages.get(file, "")):
                found.append(f"{page}: {address}")
    return found


def test_every_link_leads_somewhere(files, pages):
    assert dead_links(pages, [*files, "tex-svg-full.js", "mermaid.js"]) == []
    assert dead_links({"a.html": '<a href="b.html">b</a><a href="#c">c</a>'}, ["a.html"]) == [
        "a.html: b.html",
        "a.html: #c",
    ]


def remote(text):
    """What a page or a style sheet would load from elsewhere; ordinary links load nothing."""
    loaded = re.findall(
        r"<(?:script|img|audio|video|source|iframe|embed|object)\b[^>]*\b(?:src|data)=[\"']?([^\"'\s>]+)", text
    )
    loaded += re.findall(r"<link\b[^>]*\bhref=[\"']?([^\"'\s>]+)", text)
    loaded += re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')\s]+)", text)
    return [address for address in loaded if re.match(r"(\w+:)?//", address)]


def test_nothing_is_loaded_from_elsewhere(files):
    assert {name: remote(text) for name, text in files.items() if isinstance(text, str) and remote(text)} == {}


@pytest.mark.parametrize(
    "text",
    [
        '<script async src="https://x.y/a.js">',
        "<img alt='' src=//x.y/a.png>",
        '<link rel="stylesheet" href="http://x.y/a.css">',
        "a { background: url('https://x.y/a.png') }",
        "@import 'https://x.y/a.css';",
    ],
)
def test_what_is_loaded_from_elsewhere_is_found(text):
    assert len(remote(text)) == 1 and remote(text.replace("https:", "").replace("http:", "").replace("//", "")) == []


def test_figures_carry_their_alt_text(files, pages):
    for id, path in parameters.notebooks().items():
        notebook = json.loads(path.read_text(encoding="utf8"))
        outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
        alts = [o["metadata"]["image/png"]["alt"] for o in outputs if "image/png" in o.get("data", {})]
        shown = [re.search('alt="([^"]*)"', tag)[1] for tag in re.findall("<img [^>]*>", pages[f"{path.stem}.html"])]
        assert list(map(html.unescape, shown)) == alts and all(alts)
        assert sum(name.startswith(f"images/{id}_") for name in files) == len(alts)


def test_the_table_that_a_figure_carries_is_folded_below_it():
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
    output = v4.new_output("display_data", {"image/png": pixel, "text/plain": "   a<b\n0    1"})
    cell = v4.new_code_cell("plots.show(figure, alt, table)", outputs=[output])
    shown = site.part(cell, {"prefix": "05a_"})
    assert 'src="images/05a_1.png"' in shown and "<summary>Numbers</summary><pre>   a&lt;b\n0    1</pre>" in shown
    output.data["text/plain"] = "<Figure size 700x380 with 1 Axes>"
    assert "<details" not in site.part(cell, {"prefix": "05a_"})


def test_solutions_are_folded(pages):
    for path in parameters.notebooks().values():
        solutions = checks.tagged(v4.reads(path.read_text(encoding="utf8")), "solution")
        folded = '<details class="fold"><summary>Solution</summary>'
        assert pages[f"{path.stem}.html"].count(folded) == len(solutions) > 0


def test_the_site_is_small(files):
    assert sum(len(content) for content in files.values()) < 50e6


# --- the lecturer's page --------------------------------------------------------------------------------------------


def wrong_references(text):
    """Sections (05, *Leakage*) and exercises (05: 1, 2) that a text names and the notebooks do not have."""
    there, text = parameters.notebooks(), " ".join(text.split())
    notebooks = {n: v4.reads(path.read_text(encoding="utf8")) for n, path in there.items()}
    prose = {n: "\n".join(c.source for c in book.cells if c.cell_type == "markdown") for n, book in notebooks.items()}
    sections = {n: re.findall(r"^##+ (?:\d+ · )?(.+)$", source, re.MULTILINE) for n, source in prose.items()}
    plain = {
        n: [re.sub(r" *\([^)]*\)", "", title).replace("*", "") for title in titles] for n, titles in sections.items()
    }
    cited = [(n, title) for n, title in re.findall(r"(\d\d[a-z]?), \*([^*]+)\*", text) if parameters.matching(n, there)]
    found = [
        f"{n}: {title}" for n, title in cited if all(title not in plain[id] for id in parameters.matching(n, there))
    ]
    for n, numbers in re.findall(r"\b(\d\d[a-z]?): (\d(?:, \d)*)\b(?!\d)", text):
        if ids := parameters.matching(n, there):
            exercises = {k for id in ids for k in checks.exercises(notebooks[id])}
            found += [f"{n}: exercise {k}" for k in numbers.split(", ") if int(k) not in exercises]
    return found


def test_the_lecturers_page_names_what_is_there():
    assert wrong_references((root() / "TEACHING.md").read_text(encoding="utf8")) == []
    assert wrong_references("see 05, *No such\nsection*; 00: 1, 7; 05, *Leakage*") == [
        "05: No such section",
        "00: exercise 7",
    ]


# --- terms, headings, search ----------------------------------------------------------------------------------------


def linked(text):
    """The terms that are linked in some HTML, and the HTML after it."""
    parts = [site.prose(text)]
    terms = site.link_terms(parts, GLOSSARY)
    return list(terms), str(parts[0])


def test_the_first_use_of_a_term_is_linked():
    terms, text = linked("<p>Rates. A learning rate, a rate.</p><p>Learning rates.</p>")
    assert terms == ["rate", "learning rate"]
    assert text.count("<a ") == 2
    assert (
        '<a class="term" href="glossary.html#term-rate" id="use-term-rate" title="率: how far">Rates</a>. A'
        in re.sub(r'<a href="([^"]*)" class="term"', r'<a class="term" href="\1"', text)
    )


@pytest.mark.parametrize(
    "text",
    ["<h2>rate</h2>", "<code>rate</code>", "<pre>rate</pre>", "<table><tr><td>rate</td></tr></table>", "<a>rate</a>"]
    + ["<p>$rate$</p>", "<p>$$a rate$$</p>", "<p>separate, rated, first-rate</p>", "<p>learning</p>"],
)
def test_no_term_is_linked_where_it_is_no_prose(text):
    assert linked(text)[0] == []


def test_after_a_formula_terms_are_linked_again():
    assert linked("<p>$\\alpha$ is the <b>LoRA</b> rate, $rate$</p>")[0] == ["LoRA", "rate"]


def test_headings_get_ids_of_their_own():
    parts = [site.prose("<h1>A</h1><h2>数据 A</h2>"), "<h2>output</h2>", site.prose("<h2>数据 A</h2><h3>b</h3>")]
    assert site.number_headings(parts) == [(2, "数据 A", "数据-a"), (2, "数据 A", "数据-a-2"), (3, "b", "b")]


def test_what_is_searched():
    parts = [
        site.prose("<p>before $x$</p><h2 id='t'>Title</h2><p>a <b>b</b> $$c$$</p>"),
        '<img src="1" alt="a &lt; b">',
    ]
    assert site.sections(parts, "page") == [["page", "", "before x"], ["Title", "t", "a b a < b"]]


def test_links_to_files_become_links_to_pages():
    soup = BeautifulSoup(
        '<a href="notebooks/02_x.ipynb#y">a</a><a href="LICENSE">b</a><a href="https://x.y">c</a>', "html.parser"
    )
    site.tidy(soup, {"02_x.ipynb": "02_x.html"})
    assert str(soup) == '<a href="02_x.html#y">a</a>b<a href="https://x.y">c</a>'


# --- building -------------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """A build that takes no time: two files, one script."""
    (tmp_path / "script.js").write_text("1", encoding="utf8")
    monkeypatch.setattr(site, "scripts", lambda: {"script.js": tmp_path / "script.js"})
    monkeypatch.setattr(site, "render", lambda: {"search-index.js": "new", "images/1.png": b"png"})
    return tmp_path


def test_build_replaces_a_site_and_nothing_else(quick, capsys):
    target = quick / "site"
    assert cli.main(["site", "--out", str(target)]) == 0
    (target / "old.html").write_text("old", encoding="utf8")
    assert cli.main(["site", "--out", str(target)]) == 0
    assert sorted(p.name for p in target.rglob("*") if p.is_file()) == ["1.png", "script.js", "search-index.js"]
    other = quick / "letters"
    other.mkdir()
    (other / "mine.txt").write_text("mine", encoding="utf8")
    assert cli.main(["site", "--out", str(other)]) == 2
    assert "holds something else than a site" in capsys.readouterr().err
    assert (other / "mine.txt").exists()


def test_a_build_that_fails_leaves_the_old_site(quick, monkeypatch):
    site.build(quick / "site")
    monkeypatch.setattr(site, "render", lambda: {"search-index.js": "newer", "bad": 3})
    with pytest.raises(AttributeError):
        site.build(quick / "site")
    assert (quick / "site" / "search-index.js").read_text(encoding="utf8") == "new"
    assert sorted(path.name for path in quick.iterdir()) == ["script.js", "site"]


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(site, "SCRIPTS", {"formulas": ("no-such-package", "a.js")})
    with pytest.raises(
        Refused, match="needs the package no-such-package, which is not installed: python -m pip install"
    ):
        site.scripts()


# --- pages of a run -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run_pages(tmp_path_factory):
    """The folder of a run of 00 (diagrams), 02 (formulas) and 06 (figures), as committed."""
    folder = tmp_path_factory.mktemp("out")
    pages_of_a_run.write_assets(folder)
    pairs = []
    for stem in ("00_start_here", "02_losses", "06_data_selection"):
        notebook = v4.reads((root() / "notebooks" / f"{stem}.ipynb").read_text(encoding="utf8"))
        (folder / f"{stem}.html").write_text(pages_of_a_run.page(notebook, stem, ""), encoding="utf8")
        row = {"notebook": stem, "seconds": 1, "peak_mib": 1, "inside": 0, "outside": 0, "status": "ok"}
        pairs.append(({"target": folder / f"{stem}.ipynb"}, row))
    (folder / "grid.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="2000" height="400"/>')
    pages_of_a_run.write_index(folder, pairs, [folder / "grid.svg"])
    return folder


def test_pages_of_a_run_load_nothing_from_elsewhere(run_pages):
    texts = {path.name: path.read_text(encoding="utf8") for path in run_pages.glob("*.html")}
    assert {name: remote(text) for name, text in texts.items() if remote(text)} == {}
    assert dead_links(texts, [str(path.relative_to(run_pages)) for path in run_pages.rglob("*.*")]) == []
    assert "assets/mermaid.js" in texts["00_start_here.html"] and "assets/tex-svg-full.js" in texts["02_losses.html"]
    assert texts["06_data_selection.html"].count('<img src="data:image/png;base64,') > 5
    assert not any('id="search"' in text for text in texts.values())


def test_pages_of_a_run_say_what_formulas_lack(run_pages, tmp_path, monkeypatch):
    monkeypatch.setattr(site, "SCRIPTS", {"formulas": ("no-such-package", "a.js"), "diagrams": ("none", "b.js")})
    pages_of_a_run.write_assets(tmp_path)
    assert {path.name for path in (tmp_path / "assets").iterdir()} == {"page.js", "site.css", "theme.js"}
    notebook = v4.new_notebook(cells=[v4.new_markdown_cell("# A title\n\n$$a \\tag{1}$$")])
    text = pages_of_a_run.page(notebook, "x", "../")
    assert "as they are typed, since their scripts are missing: python -m pip install" in text
    assert "a.js" not in text and remote(text) == []


# --- in a browser ---------------------------------------------------------------------------------------------------

BROKEN = {  # pages with one fault each; every check must see its own
    "broken-wide": ("wide", '<div style="width: 900px">wide</div>'),
    "broken-formula": ("raw", "<p>$$a \\tag{1}$$</p>"),
    "broken-inline": ("raw", "<p>an $x^2$ outside of prose</p>"),
    "broken-tex": ("wrong", '<div class="math">$\\frac{1}$</div>'),
    "broken-fence": ("raw", "<p>graph TD; A--&gt;B</p>"),
    "broken-diagram": ("undrawn", '<pre class="mermaid">graph TD\n A --&gt; [[</pre>'),
    "broken-alt": ("nameless", '<img src="images/none.png">'),
    "broken-request": ("requests", '<img alt="x" src="http://example.invalid/x.png">'),
    "broken-glyph": ("glyphs", "<p>bad \ufffd text</p>"),
}
# Opens every page in a frame as wide as a phone, one after another, and writes down what is wrong with it.
INSPECTOR = string.Template("""<!doctype html><meta charset="utf-8"><pre id="report"></pre><script>
const RAW = /\\$$\\$$|\\$$[^\\s$$][^$$]*\\$$|\\\\(begin|tag|frac|sum)\\b|(graph|flowchart) (TD|LR|TB)|```/;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
function open(address) {
  const frame = document.createElement("iframe");
  frame.width = 390; frame.height = 800; frame.src = address;
  return new Promise((done) => { frame.onload = () => done(frame); document.body.append(frame); });
}
function texts(page) {
  const found = [], walker = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    if (!walker.currentNode.parentElement.closest("pre, code, .output, script, style, mjx-container, #results")) {
      found.push(walker.currentNode.data);
    }
  }
  return found;
}
async function inspect(address) {
  const frame = await open(address), view = frame.contentWindow, page = frame.contentDocument;
  if (view.MathJax && view.MathJax.startup) await view.MathJax.startup.promise;
  const waiting = () => [...page.querySelectorAll("pre.mermaid")].filter((each) => !each.querySelector("svg"));
  for (let tries = 0; waiting().length && tries < 40; tries++) await pause(50);
  for (const fold of page.querySelectorAll("details")) fold.open = true;
  await pause(50);
  const result = {
    wide: Math.max(0, page.documentElement.scrollWidth - 390),
    raw: texts(page).filter((text) => RAW.test(text)).map((text) => text.trim().slice(0, 80)),
    glyphs: texts(page).filter((text) => text.includes("\\ufffd")).length,
    wrong: page.querySelectorAll("mjx-merror, [data-mml-node=merror]").length,
    undrawn: waiting().length + page.querySelectorAll("svg[aria-roledescription=error]").length,
    nameless: [...page.images].filter((image) => !(image.alt || "").trim()).length,
    requests: view.performance.getEntriesByType("resource").map((each) => each.name)
      .filter((name) => !/^(file|data|blob):/.test(name)),
    formulas: page.querySelectorAll("mjx-container svg").length,
    diagrams: page.querySelectorAll("pre.mermaid svg").length,
    found: [...page.querySelectorAll("#results a b")].map((each) => each.textContent),
    theme: page.documentElement.dataset.theme,
  };
  page.getElementById("theme").click();
  result.switched = page.documentElement.dataset.theme;
  frame.remove();
  return result;
}
(async () => {
  const report = {};
  for (const address of $addresses) report[address] = await inspect(address);
  document.getElementById("report").textContent = "REPORT" + JSON.stringify(report) + "REPORT";
})();
</script>""")
SEARCHES = {  # what is asked for: the page that must come among the first answers
    "index.html?q=cross-entropy": "02 · Losses",
    "index.html?q=%E6%95%B0%E6%8D%AE%E6%B3%84%E6%BC%8F": "05 · Data pipeline",
    "index.html?q=label%20%E6%A0%87%E7%AD%BE%E5%99%AA%E5%A3%B0": "label noise",
}


@pytest.fixture(scope="module")
def seen(files, pages, run_pages, tmp_path_factory):
    """What a browser found on every page, on the broken ones, and for the searches."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    try:
        site.scripts()
    except Refused as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("browser") / "site"
    broken = {f"{name}.html": site.page_html(name, body) for name, (_, body) in BROKEN.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site, "render", lambda: files | broken)
        site.build(folder)
    shutil.copytree(run_pages, folder / "run")
    addresses = [*pages, *broken, *SEARCHES, *(f"run/{path.name}" for path in run_pages.glob("*.html"))]
    (folder / "inspector.html").write_text(INSPECTOR.substitute(addresses=json.dumps(addresses)), encoding="utf8")
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    command += [f"--user-data-dir={folder.parent / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND"]
    command += ["--virtual-time-budget=300000", "--dump-dom", (folder / "inspector.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    text = html.unescape(done.stdout)
    assert text.count("REPORT{") == 1 and "}REPORT" in text, done.stderr[-2000:]
    return json.loads(text.split("REPORT{")[1].split("}REPORT")[0].join("{}"))


FAULTS = ("wide", "raw", "glyphs", "wrong", "undrawn", "nameless", "requests")


def test_no_page_is_faulty_in_a_browser(seen, pages):
    faults = {page: {k: seen[page][k] for k in FAULTS if seen[page][k]} for page in pages}
    assert {page: found for page, found in faults.items() if found} == {}


def test_pages_of_a_run_are_drawn_in_a_browser(seen):
    shown = {address.removeprefix("run/"): found for address, found in seen.items() if address.startswith("run/")}
    assert set(shown) == {"00_start_here.html", "02_losses.html", "06_data_selection.html", "index.html"}
    faults = {page: {k: found[k] for k in FAULTS if found[k]} for page, found in shown.items()}
    assert {page: found for page, found in faults.items() if found} == {}
    assert shown["00_start_here.html"]["diagrams"] > 0 and shown["02_losses.html"]["formulas"] > 20


def test_every_fault_is_seen_on_a_page_that_has_it(seen):
    assert {kind for kind, _ in BROKEN.values()} == set(FAULTS)
    assert [name for name, (kind, _) in BROKEN.items() if not seen[f"{name}.html"][kind]] == []


def test_formulas_and_diagrams_are_drawn(seen, pages):
    for path in parameters.notebooks().values():
        cells = json.loads(path.read_text(encoding="utf8"))["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        page = seen[f"{path.stem}.html"]
        assert page["formulas"] >= text.count("$$") // 2
        assert page["diagrams"] == text.count("```mermaid")
    assert sum(seen[page]["formulas"] for page in pages) > 100 and sum(seen[page]["diagrams"] for page in pages) > 1


@pytest.mark.parametrize("address", SEARCHES)
def test_search_finds_english_and_chinese(seen, address):
    assert any(SEARCHES[address] in title for title in seen[address]["found"][:5]), seen[address]["found"][:5]


def test_the_switch_turns_the_page_dark(seen):
    assert (seen["index.html"]["theme"], seen["index.html"]["switched"]) in (("light", "dark"), ("dark", "light"))
