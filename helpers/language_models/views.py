"""Rendered conversations to look at: a table of tokens, and coloured text for a notebook."""

import html

import pandas as pd

COLOURS = {"system": "#f0e0b0", "user": "#cfe3f5", "assistant": "#d3ecd0", "tool": "#e6d6ef"}  # of each role's content


def table(row):
    """A row a token: its text (spaces as ␣, line breaks as ⏎), id, role ("" for the template's own), and weight.

    row : Rendered
    """
    roles = [""] * len(row.ids)
    for span in row.spans:
        roles[span.begin : span.stop] = [span.role] * (span.stop - span.begin)
    texts = [visible(text) for text in row.texts]
    return pd.DataFrame({"token": texts, "id": row.ids, "role": roles, "trained": row.mask}).rename_axis("place")


def visible(text):
    """A text with its white space to be seen.

    >>> visible(" a\\n")
    '␣a⏎'
    """
    return text.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥")


class Coloured:
    """A rendered conversation in colours: a colour a role, what is trained underlined; its plain text marks it ⟦so⟧."""

    def __init__(self, row):
        self.parts = []
        for text, role, weight in table(row)[["token", "role", "trained"]].itertuples(index=False):
            if self.parts and self.parts[-1][1:] == (role, weight > 0):
                self.parts[-1] = (self.parts[-1][0] + text, role, weight > 0)
            else:
                self.parts.append((text, role, weight > 0))

    def __repr__(self):
        return "".join(f"⟦{text}⟧" if trained else text for text, _, trained in self.parts).replace("⏎", "⏎\n")

    def _repr_html_(self):
        return f'<div style="white-space: pre-wrap; font-family: monospace; color: #111">{"".join(map(_part, self.parts))}</div>'


def _part(part):
    text, role, trained = part
    style = f"background: {COLOURS.get(role, '#eeeeee')}" + (
        "; text-decoration: underline; font-weight: bold" if trained else ""
    )
    said = f"{role or 'template'}, {'trained' if trained else 'not trained'}"
    return f'<span style="{style}" title="{said}">{html.escape(text).replace("⏎", "⏎<br>")}</span>'
