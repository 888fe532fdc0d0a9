"""What a length limit takes away from conversations, before any training."""

import pandas as pd

from helpers.language_models.chat import render

WAYS = ["right", "oldest", "leave out"]


def limit(model, talks, max_tokens, *, how="right", **settings):
    """Conversations as a model reads them, none longer than a limit, and what that took away.

    model      : LanguageModel
    talks      : list of n conversations, see `helpers.conversations`
    max_tokens : the limit, at most the model's context
    how        : "right" cuts off what stands behind the limit, as most trainers do; "oldest" leaves out the oldest
                 exchanges (a question and all up to the next one), never a system message nor the last exchange, which is
                 cut on the right where it is too long by itself; "leave out" leaves out the conversation
    settings   : of `render`
    returns    : list of Rendered, those with anything left to train on; DataFrame, one row a conversation: tokens,
                 trained and answers before; cut (whether anything was taken), tokens_left, trained_left, answers_lost,
                 ends_lost (trained end tokens), kept (whether it is in the list)
    errors     : ValueError, one sentence, for a limit that the model cannot read, and for a conversation that cannot be
                 rendered, named by its number from 0
    """
    if how not in WAYS:
        raise ValueError(f"how is {how!r}: take one of {', '.join(map(repr, WAYS))}")
    if not 1 <= max_tokens <= model.context:
        raise ValueError(f"max_tokens is {max_tokens}: {model.name} reads 1 to {model.context}")
    kept, table = [], []
    for number, talk in enumerate(talks):
        try:
            whole = render(model, talk, **settings)
            left = whole if len(whole.ids) <= max_tokens else _shortened(model, talk, max_tokens, how, settings)
        except ValueError as error:
            raise ValueError(f"conversation {number}: {error}") from None
        table.append(_taken(whole, left))
        if len(left.trained):
            kept.append(left)
    frame = pd.DataFrame(table)
    return kept, frame


def _shortened(model, talk, max_tokens, how, settings):
    if how == "leave out":
        return cut(render(model, talk, **settings), 0)
    while how == "oldest" and (shorter := without_oldest(talk)) != talk:
        talk = shorter
        row = render(model, talk, **settings)
        if len(row.ids) <= max_tokens:
            return row
    return cut(render(model, talk, **settings), max_tokens)


def without_oldest(talk):
    """A conversation without its oldest exchange; itself if it has one alone.

    >>> without_oldest([{"role": role} for role in ("system", "user", "assistant", "user", "assistant")])
    [{'role': 'system'}, {'role': 'user'}, {'role': 'assistant'}]
    """
    head = [message for message in talk[:1] if message["role"] == "system"]
    starts = [place for place, message in enumerate(talk) if message["role"] == "user"]
    return [*head, *talk[starts[1] :]] if len(starts) > 1 else talk


def cut(row, size):
    """A rendered conversation with its first tokens alone."""
    spans = [
        span._replace(begin=min(span.begin, size), stop=min(span.stop, size), end=_within(span.end, size))
        for span in row.spans
    ]
    return row._replace(ids=row.ids[:size], mask=row.mask[:size], texts=row.texts[:size], spans=spans)


def _within(place, size):
    return place if place is not None and place < size else None


def _answers(row):
    """How many answers have anything trained."""
    return sum(row.mask[span.begin : span.stop].any() for span in row.spans if span.role == "assistant")


def _taken(whole, left):
    return {
        "tokens": len(whole.ids),
        "trained": len(whole.trained),
        "answers": _answers(whole),
        "cut": len(left.ids) < len(whole.ids),
        "tokens_left": len(left.ids),
        "trained_left": len(left.trained),
        "answers_lost": _answers(whole) - _answers(left),
        "ends_lost": len(whole.ends) - len(left.ends),
        "kept": bool(len(left.trained)),
    }
