"""Conversations as the tokens that a model reads, through its own chat template, and which of them are trained.

A template (Jinja) is a program that comes with a model. It is run in a sandbox, as Transformers does. Where a message
stands in what it writes is found by writing it twice, the second time with a mark in its place; so no template has to
be known beforehand. Control strings within a content are held back until the template is done: they become plain text.
"""

import itertools
import json
import os
import re
from typing import NamedTuple

import numpy as np

from helpers import conversations
from helpers.language_models import templates, tokenisers


class Span(NamedTuple):
    """Where a message's content stands: places of its first token and behind its last; end: that of the token that
    ends the message, or None."""

    role: str
    begin: int
    stop: int
    end: int | None


class Rendered(NamedTuple):
    """A conversation as a model reads it.

    ids     : list of token ids
    mask    : float32 array as long, what each token weighs in training: 0 but for answers and their end tokens
    spans   : list of Span, one a message
    opening : place where the template opens the last answer ("<|im_start|>assistant\\n"): what a model is given to
              answer ends with it. Where nothing opens it, the token before the answer
    added   : what the template says by itself, such as a system message of its own; "" for nothing
    texts   : list of strings, what each token stands for
    """

    ids: list
    mask: np.ndarray
    spans: list
    opening: int
    added: str
    texts: list

    @property
    def trained(self):
        """Places of the tokens that are trained, int array."""
        return np.flatnonzero(self.mask)

    @property
    def ends(self):
        """Places of the end tokens among them, int array."""
        return np.array([span.end for span in self.spans if span.end is not None and self.mask[span.end]], int)

    @property
    def answer(self):
        """Places of the last answer's tokens, without its end token."""
        last = [span for span in self.spans if span.role == "assistant"][-1]
        return range(last.begin, last.stop)


def render(model, conversation, *, train="all", system="drop"):
    """The tokens of a conversation by a model's chat template.

    model        : LanguageModel
    conversation : list of messages, see `helpers.conversations`
    train        : "all" trains every answer by its message's weight, "last" the last alone. An answer is all that the
                   model has to write: what stands behind the opening that it is given, up to the end token
    system       : what becomes of a system message that the template adds where the conversation has none: "drop"
                   leaves it out, "keep" leaves it in; `Rendered.added` says what it is
    returns      : Rendered. Its ids are those that Transformers' apply_chat_template gives, but that control strings
                   in contents are text, and that no token reaches over the beginning of an answer
    errors       : ValueError, one sentence, for a conversation that breaks its form or has no answer, for one that the
                   template refuses or of which it leaves something out, and for a template that fails
    """
    if train not in ("all", "last") or system not in ("drop", "keep"):
        raise ValueError(f"train is {train!r}, system {system!r}: give 'all' or 'last', and 'drop' or 'keep'")
    messages = conversations.check(conversation)
    answers = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    if not answers:
        raise ValueError("the conversation has no message of the assistant: there is nothing to train on")
    draft = _draft(model, messages, system)
    text, areas = _lay_out(draft, _written)
    tokens = _tokens(model.tokeniser, text, areas, draft.held)
    begins, behind = (np.array([token[side] for token in tokens]) for side in (1, 2))

    def place(character):  # of the token in which it stands
        return int(np.searchsorted(behind, character, side="right"))

    spans, mask = [], np.zeros(len(tokens), "float32")
    for i, (message, area) in enumerate(zip(messages, areas, strict=True)):
        begin, end = place(area.begin), None if area.end is None else place(area.end)
        stop = int(np.searchsorted(begins, area.stop)) if end is None else end
        spans.append(Span(message["role"], begin, max(begin, stop), end))
        if i == answers[-1] or (train == "all" and area.answer):
            mask[begin : stop + (end is not None)] = conversations.weight(message)
    last = answers[-1]
    mask[:1] = 0  # nothing stands before the first token to guess it from
    return Rendered(
        ids=[token[0] for token in tokens],
        mask=mask,
        spans=spans,
        opening=max(0, min(place(areas[last].begin - len(_opening(draft, last))), spans[last].begin - 1)),
        added=draft.added,
        texts=[token[3] for token in tokens],
    )


def prompt_ids(model, conversation, *, system="drop"):
    """The tokens that a model is given to write the next answer: the conversation, and the opening of an answer.

    model, conversation, system : as of `render`; the conversation needs no answer
    returns                     : list of ids. Those of `render` begin with them where the conversation goes on with an
                                  answer, unless the template writes earlier messages otherwise then
    errors                      : ValueError, as of `render`
    """
    draft = _draft(model, conversations.check(conversation), system)
    text, areas = _lay_out(draft, _opened)
    return [token[0] for token in _tokens(model.tokeniser, text, areas, draft.held)]


# ---- where messages stand in what a template writes -----------------------------------------------------------------


class _Draft(NamedTuple):
    """Messages ready for a template.

    messages : with each control string in them held back, as one private character of Unicode
    held     : {that character: the control string}
    mark     : a private character that stands in no message
    control  : pattern of all control strings
    added    : what the template says by itself before the first message
    drop     : from which character on it is left out of each text, or None
    """

    model: NamedTuple
    messages: list
    held: dict
    mark: str
    control: re.Pattern
    added: str = ""
    drop: int | None = None


class _Area(NamedTuple):
    """Characters of a message in a text; end: where the control string that ends an answer begins, or None."""

    begin: int
    stop: int
    end: int | None
    answer: bool


def _draft(model, messages, system):
    control = tokenisers.control_pattern(model.tokeniser.control)
    taken = set(f"{json.dumps(messages, ensure_ascii=False)}{model.template}")
    free = (chr(code) for code in itertools.chain(range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE)))
    free = (character for character in free if character not in taken)
    mark, marks = next(free), dict(zip(sorted(model.tokeniser.control), free, strict=False))
    messages = [
        _hold_back(message, lambda text: control.sub(lambda found: marks[found[0]], text)) for message in messages
    ]
    draft = _Draft(model, messages, {character: string for string, character in marks.items()}, mark, control)
    if messages[0]["role"] == "system":
        return draft
    added, place = _addition(draft)
    return draft._replace(added=added, drop=place if added and system == "drop" else None)


def _hold_back(message, hold):
    """A message as a template takes it, all its texts passed through a function; calls in the form of Hugging Face."""

    def through(value):
        if isinstance(value, dict):
            return {through(key): through(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [through(part) for part in value]
        return hold(value) if isinstance(value, str) else value

    kept = {"role": message["role"], "content": hold(message["content"])}
    if "tool_call_id" in message:
        kept["tool_call_id"] = hold(message["tool_call_id"])
    if "tool_calls" in message:
        calls = [{key: through(call[key]) for key in ("id", "name", "arguments")} for call in message["tool_calls"]]
        kept["tool_calls"] = [{"id": call.pop("id"), "type": "function", "function": call} for call in calls]
    return kept


def _written(draft, messages, opened=False):
    """What the template writes, without what is dropped."""
    text = templates.write(draft.model, messages, opened)
    if draft.drop is not None:
        text = text[: draft.drop] + text[draft.drop :].removeprefix(draft.added)
    return text


def _opened(draft, messages):
    """The same with the opening of an answer behind it, also by a template that does not heed add_generation_prompt."""
    text = _written(draft, messages, True)
    if text == _written(draft, messages):
        answered = _written(draft, [*messages, {"role": "assistant", "content": draft.mark}])
        opening = answered[len(text) : answered.find(draft.mark)] if answered.startswith(text) else ""
        text += opening.rstrip(" ") if re.search(r"\w", opening) else ""
    return text


def _opening(draft, i):
    """What opens the answer of message i, "" for nothing."""
    if i == 0:
        return ""
    opened = _opened(draft, draft.messages[:i])
    return opened[_shared(draft, opened, _written(draft, draft.messages[:i])) :]


def _lay_out(draft, write):
    """What a function (`_written` or `_opened`) makes of the messages, and the _Area of each."""
    messages = draft.messages
    text, areas = write(draft, messages), []
    for i, message in enumerate(messages):
        marked, parts = _marked(message, draft.mark)
        other = write(draft, [*messages[:i], marked, *messages[i + 1 :]])
        if other.count(draft.mark) < parts:
            what = "the tool calls, or the text beside them, of " if "tool_calls" in message else ""
            whose = f"message {i + 1}, of the {message['role']}"
            raise ValueError(f"the template of {draft.model.name} leaves out {what}{whose}")
        begin = len(os.path.commonprefix([text, other]))
        behind = len(os.path.commonprefix([text[begin:][::-1], other[begin:][::-1]]))
        area = _Area(begin, len(text) - behind, None, False)
        if message["role"] == "assistant":
            quotes = len(other) - behind - other.rfind(draft.mark) - 1  # around a mark as an argument
            area = _answer(draft, i, marked, quotes, text, area)
        areas.append(area)
    return text, areas


def _marked(message, mark):
    """A message with a mark in place of its content, and of the name and arguments of each call; how many these are."""
    if "tool_calls" not in message:
        return message | {"content": mark}, 1
    calls = [call | {"function": {"name": mark, "arguments": {"x": mark}}} for call in message["tool_calls"]]
    content = mark if message["content"] else ""
    return message | {"content": content, "tool_calls": calls}, len(content) + 2 * len(calls)


def _answer(draft, i, marked, quotes, text, area):
    """The _Area of an answer, all that the model writes by itself, from that of its content. What belongs to it besides
    is seen where the conversation ends with it."""
    begin, stop, *_ = area
    answered = _written(draft, [*draft.messages[:i], marked])
    closing = answered[answered.rfind(draft.mark) + 1 + quotes :]
    closing = closing[: _shared(draft, closing, text[stop:])]
    ends = [stop + found.start() for found in draft.control.finditer(closing)]
    end = ends[-1 if "tool_calls" in marked else 0] if ends else None
    if "tool_calls" in marked:
        stop += len(closing.rstrip())
    if i:
        opened = _opened(draft, draft.messages[:i])
        lead = answered[len(opened) : answered.find(draft.mark)] if answered.startswith(opened) else ""
        if text.startswith(opened) and len(opened) <= begin:
            begin = len(opened)
        elif text[:begin].endswith(lead):
            begin -= len(lead)
    return _Area(begin, stop if end is None else end, end, True)


def _addition(draft):
    """What the template says by itself ahead of the first message, and where: what stands before its content, but for
    the control string that begins a text and for what opens a later message of the same role."""
    messages, mark = draft.messages, draft.mark
    before = _written(draft, [messages[0] | {"content": mark}, *messages[1:]]).partition(mark)[0]
    talk = [{"role": role, "content": mark} for role in ("user", "assistant", "user", "assistant")]
    talk = talk[: 3 if messages[0]["role"] == "user" else 4]
    closing = _written(draft, talk[:-1]).rpartition(mark)[2]
    between = _written(draft, talk).rsplit(mark, 2)[1]
    opening = between[_shared(draft, closing, between) :]
    bos = templates.name(draft.model, "bos")
    begin = len(bos) if before.startswith(bos) and bos not in opening else 0
    stop = len(before) - len(os.path.commonprefix([before[begin:][::-1], opening[::-1]]))
    head = opening[: len(opening) - (len(before) - stop)]  # a system message may stand within what opens a message
    if before[begin:stop].startswith(head):
        begin += len(head)
    elif re.search(r"\w", head):  # the first message is opened otherwise than a later one, as by its number
        return "", 0
    said = before[begin:stop]
    return (said, begin) if re.search(r"\w", draft.control.sub("", said)) else ("", 0)


def _shared(draft, text, other):
    """How many characters two texts share at their beginning, none of which is a part of a control string alone."""
    size = len(os.path.commonprefix([text, other]))
    cut = [found.start() for found in draft.control.finditer(text) if found.start() < size < found.end()]
    return cut[0] if cut else size


def _tokens(tokeniser, text, areas, held):
    """The tokens of a text: list of (id, first character, behind its last, what it stands for).

    What stands ahead of an answer has the tokens that it has by itself, as it is when a model answers. Where the
    tokeniser does not tell where tokens stand, no token reaches over the beginning or the end of a message.
    """
    cuts = {area.begin for area in areas if area.answer}
    if not tokeniser.exact:
        cuts |= {place for area in areas for place in (area.begin, area.stop)}

    def is_control(token):
        return tokeniser.control.get(text[token[1] : token[2]].strip()) == token[0]

    tokens, context = [], 0
    for control, section in itertools.groupby(_placed(tokeniser, text, tokenisers.parse), is_control):
        section = list(section)
        begin, stop = section[0][1], section[-1][2]
        inside = sorted(cut for cut in cuts if begin < cut < stop)
        if not control and (inside or not held.keys().isdisjoint(text[begin:stop])):
            section = _section(tokeniser, text, context, begin, stop, inside, held)
        tokens += section
        context = section[-1][1]
    bos = tokeniser.bos
    if bos is not None:  # one, whether the template writes none, one or two
        while tokens and tokens[0][0] == bos:
            del tokens[0]
        tokens.insert(0, (bos, 0, 0, tokeniser.decode([bos])))
    return tokens


def _section(tokeniser, text, context, begin, stop, cuts, held):
    """The tokens of what stands between two control strings, split at each cut where the tokens ahead of it are others
    than without what follows; context: where the control string before it begins."""
    start, tokens = begin, []

    def read(begin, stop):
        if begin > start or not held.keys().isdisjoint(text[begin:stop]):
            return list(_as_text(tokeniser, text, begin, stop, held))
        found = _placed(tokeniser, text[context:stop], tokenisers.parse)
        found = [(id_, context + first, context + behind, said) for id_, first, behind, said in found]
        return [token for token in found if token[1] >= start]

    rest = read(begin, stop)
    for cut in cuts:
        ahead = read(begin, cut)
        if not tokeniser.exact or [token[0] for token in ahead] != [token[0] for token in rest[: len(ahead)]]:
            tokens, rest, begin = tokens + ahead, read(cut, stop), cut
    return tokens + rest


def _placed(tokeniser, text, parse):
    """Tokens of a text by a function of tokeniser and text. Of the tokens of one character, the first stands for it."""
    said = 0
    for id_, (first, behind) in zip(*parse(tokeniser, text), strict=True):
        yield id_, first, behind, text[said:behind] if tokeniser.exact else tokeniser.decode([id_])
        said = max(said, behind)


def _as_text(tokeniser, text, begin, stop, held):
    """The tokens of a part of a text, its control strings put back and read as plain text."""
    back = [held.get(character, character) for character in text[begin:stop]]
    places = [place for place, string in enumerate(back, begin) for _ in string] + [stop]
    for id_, first, behind, said in _placed(tokeniser, "".join(back), lambda tokeniser, part: tokeniser.encode(part)):
        yield id_, places[first], places[max(first, behind - 1)] + (behind > first), said
