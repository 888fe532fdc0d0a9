"""What a length limit takes away from conversations, before any training."""

import numbers

import pandas as pd

from helpers.language_models.chat import render

WAYS = ["right", "oldest", "leave out"]
COLUMNS = ["tokens", "trained", "answers", "cut", "tokens_left", "trained_left", "answers_lost", "ends_lost", "kept"]


def limit(model, talks, max_tokens, *, how="right", **settings):
    """Conversations as a model reads them, none longer than a limit, and what that took away.

    model      : LanguageModel
    talks      : list of n conversations, see `helpers.conversations`
    max_tokens : the limit, at most the model's context
    how        : "right" cuts off what stands behind the limit, as most trainers do; "oldest" leaves out the oldest
                 exchanges (a question and all up to the next one), never a system message nor the last exchange with an
                 answer, and cuts on the right what is still too long; "leave out" leaves out the conversation
    settings   : of `render`
    returns    : list of Rendered, those with anything left to train on; DataFrame (n rows, in the order of the talks):
                 tokens, trained and answers before; cut (whether anything was taken), tokens_left, trained_left,
                 answers_lost, ends_lost (trained end tokens, those of lost answers too), kept (whether it is in the
                 list: a row where it is not has nothing left to train on)
    errors     : ValueError, one sentence, for a limit that the model cannot read, and for a conversation that cannot be
                 rendered, named by its number from 0
    """
    if how not in WAYS:
        raise ValueError(f"how is {how!r}: take one of {', '.join(map(repr, WAYS))}")
    whole_number = isinstance(max_tokens, numbers.Integral) and not isinstance(max_tokens, bool)
    if not whole_number or not 1 <= max_tokens <= model.context:
        raise ValueError(f"max_tokens is {max_tokens!r}: {model.name} reads 1 to {model.context}, a whole number")
    kept, taken = [], []
    for number, talk in enumerate(talks):
        try:
            whole = render(model, talk, **settings)
            left = whole if len(whole.ids) <= max_tokens else _shortened(model, talk, whole, max_tokens, how, settings)
        except ValueError as error:
            raise ValueError(f"conversation {number}: {error}") from None
        taken.append(_taken(whole, left))
        if len(left.trained):
            kept.append(left)
    return kept, pd.DataFrame(taken, columns=COLUMNS)


def _shortened(model, talk, row, max_tokens, how, settings):
    """A row that is too long, made short."""
    if how == "leave out":
        return cut(row, 0)
    while how == "oldest" and len(row.ids) > max_tokens:
        shorter = without_oldest(talk)
        if len(shorter) == len(talk) or all(message["role"] != "assistant" for message in shorter):
            break
        talk, row = shorter, render(model, shorter, **settings)
    return cut(row, max_tokens)


def without_oldest(talk):
    """A conversation without its oldest exchange; itself if it has one alone.

    >>> without_oldest([{"role": role} for role in ("system", "user", "assistant", "user", "assistant")])
    [{'role': 'system'}, {'role': 'user'}, {'role': 'assistant'}]
    """
    head = [message for message in talk[:1] if message["role"] == "system"]
    starts = [place for place, message in enumerate(talk) if message["role"] == "user"]
    return [*head, *talk[starts[1] :]] if len(starts) > 1 else talk


def cut(row, size):
    """A rendered conversation with its first tokens alone: Rendered of at most `size` tokens, spans cut likewise."""
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
    """A row of the table, in the order of COLUMNS."""
    size, trained, answers = len(left.ids), len(left.trained), _answers(whole)
    lost = answers - _answers(left), len(whole.ends) - len(left.ends)
    return len(whole.ids), len(whole.trained), answers, size < len(whole.ids), size, trained, *lost, trained > 0
