"""Rendered conversations to look at: a table of tokens, and coloured text for a notebook."""

import html
import itertools

import pandas as pd

COLOURS = {"system": "#f0e0b0", "user": "#cfe3f5", "assistant": "#d3ecd0", "tool": "#e6d6ef"}  # of each role's content


def table(row):
    """The tokens of a conversation, to be looked at.

    row     : Rendered of n tokens
    returns : DataFrame (n rows, index place): token (its text, spaces as ␣, line breaks as ⏎; ⋯ where a character goes
              on from the token before), id, role (of the message whose content it is, "" for the template's own),
              trained (its weight)
    """
    texts = [visible(text) or "⋯" for text in row.texts]
    frame = pd.DataFrame({"token": texts, "id": row.ids, "role": _roles(row), "trained": row.mask})
    return frame.rename_axis("place")


def _roles(row):
    """Whose content each token is, "" for the template's own."""
    roles = [""] * len(row.ids)
    for span in row.spans:
        roles[span.begin : span.stop] = [span.role] * (span.stop - span.begin)
    return roles


def visible(text):
    """A text with its white space to be seen.

    >>> visible(" a\\n")
    '␣a⏎'
    """
    return text.translate({ord(" "): "␣", ord("\n"): "⏎", ord("\t"): "⇥", ord("\r"): "␍"})


class Coloured:
    """A rendered conversation in colours: a colour a role, what is trained bold and underlined; as plain text ⟦so⟧.

    row : Rendered; a notebook shows it as HTML, its `repr` is the plain text
    """

    def __init__(self, row):
        tokens = zip(map(visible, row.texts), _roles(row), (row.mask > 0).tolist(), strict=True)
        runs = itertools.groupby(tokens, key=lambda token: token[1:])
        self.parts = [("".join(text for text, *_ in run), *kind) for kind, run in runs]

    def __repr__(self):
        return "".join(f"⟦{text}⟧" if trained else text for text, _, trained in self.parts).replace("⏎", "⏎\n")

    def _repr_html_(self):
        parts = "".join(_part(*part) for part in self.parts)
        return f'<div style="white-space: pre-wrap; font-family: monospace; color: #111">{parts}</div>'


def _part(text, role, trained):
    style = f"background: {COLOURS.get(role, '#eeeeee')}"
    style += "; text-decoration: underline; font-weight: bold" if trained else ""
    said = f"{role or 'template'}, {'trained' if trained else 'not trained'}"
    return f'<span style="{style}" title="{said}">{html.escape(text).replace("⏎", "⏎<br>")}</span>'
