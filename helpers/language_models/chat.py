"""Conversations as the tokens that a model reads, through its own chat template, and which of them are trained.

A template (Jinja) is a program that comes with a model. It is run in a sandbox, as Transformers does. Where a message
stands in what it writes is found by writing it twice, the second time with another content; so no template has to be
known beforehand. Control strings within a content are held back until the template is done: they become plain text.
"""

import functools
import json
import os
import re
from typing import NamedTuple

import numpy as np

from helpers import conversations

HELD = 0xF0000  # private characters of Unicode: one for each control string, and MARK for a content that is sought
MARK = "\U0010fffd"


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
              answer ends with it
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
    train        : "all" trains every answer by its message's weight, "last" the last alone
    system       : what becomes of a system message that the template adds where the conversation has none: "drop"
                   leaves it out, "keep" leaves it in; `Rendered.added` says what it is
    returns      : Rendered
    errors       : ValueError, one sentence, for a conversation without an answer, for one that the template refuses or
                   in which it leaves a message out, and for a template that fails
    """
    if train not in ("all", "last") or system not in ("drop", "keep"):
        raise ValueError(f"train is {train!r}, system {system!r}: give 'all' or 'last', and 'drop' or 'keep'")
    messages = conversations.check(conversation)
    answers = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
    if not answers:
        raise ValueError("the conversation has no message of the assistant: there is nothing to train on")
    page = _Page(model, messages, system)
    starts = {i: page.answer_start(i) for i in answers}
    areas = [(starts.get(i, area[0]), area[1]) for i, area in enumerate(page.areas)]
    ends = [page.end_of(i) if i in starts else None for i in range(len(messages))]
    tokens = _tokens(model.tokeniser, page.text, cuts=[starts[i] for i in answers], areas=areas, held=page.held)

    def first_at(place):
        return int(np.searchsorted([end for _, _, end, _ in tokens], place, side="right"))

    spans, mask = [], np.zeros(len(tokens), "float32")
    for i, (message, (begin, stop), end) in enumerate(zip(messages, areas, ends, strict=True)):
        end = None if end is None else first_at(end)
        stop = end if end is not None else first_at(stop)
        spans.append(Span(message["role"], first_at(begin), stop, end))
        if i in starts and (train == "all" or i == answers[-1]):
            mask[first_at(begin) : stop + (end is not None)] = conversations.weight(message)
    return Rendered(
        ids=[id_ for id_, _, _, _ in tokens],
        mask=mask,
        spans=spans,
        opening=first_at(page.opening_of(answers[-1])),
        added=page.added,
        texts=[text for _, _, _, text in tokens],
    )


def prompt_ids(model, conversation, *, system="drop"):
    """The tokens that a model is given to write the next answer: the conversation, and the opening of an answer.

    The tokens of `render` begin with them where the conversation goes on with that answer.
    """
    page = _Page(model, conversations.check(conversation), system, opened=True)
    return [id_ for id_, _, _, _ in _tokens(model.tokeniser, page.text, cuts=[], areas=page.areas, held=page.held)]


class _Page:
    """What a template makes of messages, and where they stand in it, in characters.

    text  : the whole, control strings of contents held back
    areas : for each message where its content begins and stops
    added : what the template says by itself before the first message
    """

    def __init__(self, model, messages, system, opened=False):
        self.marks = sorted(model.tokeniser.control, key=lambda mark: (-len(mark), mark))
        self.held = {chr(HELD + i): mark for i, mark in enumerate(self.marks)}
        self.model, self.messages = model, [self._hold_back(message) for message in messages]
        self.pattern = re.compile("|".join(map(re.escape, self.marks)) or r"(?!)")
        self.text = self.write(self.messages, opened)
        self.areas = [self._area(i, opened) for i in range(len(messages))]
        self.added, (begin, stop) = self._addition()
        if system == "drop":
            self.text = self.text[:begin] + self.text[stop:]
            self.areas = [(a - (stop - begin), b - (stop - begin)) for a, b in self.areas]
        self.removed = (begin, stop) if system == "drop" else (0, 0)

    def write(self, messages, opened=False):
        return _write(self.model, messages, opened)

    def _written(self, messages, opened=False):
        """The same, without what was left out of the text."""
        text, (begin, stop) = self.write(messages, opened), self.removed
        return text[:begin] + text[stop:]

    def _hold_back(self, message):
        """A message in which each control string is one private character, and calls have the form of Hugging Face."""
        kept = {key: self._held(value) for key, value in message.items() if key != "weight"}
        for call in kept.get("tool_calls", []):
            call |= {"type": "function", "function": {"name": call.pop("name"), "arguments": call.pop("arguments")}}
        return kept

    def _held(self, value):
        """A value with the control strings held back in all its texts."""
        if isinstance(value, dict):
            return {key: self._held(part) for key, part in value.items()}
        if isinstance(value, list):
            return [self._held(part) for part in value]
        if not isinstance(value, str):
            return value
        if any(c == MARK or HELD <= ord(c) < HELD + len(self.marks) for c in value):
            raise ValueError(
                "a message holds a private character of Unicode that stands for a control string: take it out"
            )
        for character, mark in self.held.items():
            value = value.replace(mark, character)
        return value

    def _area(self, i, opened):
        """Where a message's content stands: where the text changes when the content is another."""
        message = self.messages[i]
        if message.get("tool_calls"):
            return self._area_of_calls(i)
        other = self.write([*self.messages[:i], message | {"content": MARK}, *self.messages[i + 1 :]], opened)
        if MARK not in other:
            raise ValueError(f"the template of {self.model.name} leaves out message {i + 1}, of the {message['role']}")
        begin = len(os.path.commonprefix([self.text, other]))
        behind = len(os.path.commonprefix([self.text[begin:][::-1], other[begin:][::-1]]))
        return begin, len(self.text) - behind

    def _area_of_calls(self, i):
        """A message with calls stands between what the messages before it make, and what it makes with them."""
        message = self.messages[i]
        renamed = [call | {"function": call["function"] | {"name": MARK}} for call in message["tool_calls"]]
        if MARK not in self.write([*self.messages[:i], message | {"tool_calls": renamed}]):
            raise ValueError(f"the template of {self.model.name} has no place for the tool calls of message {i + 1}")
        before, behind = self.write(self.messages[:i], True), self.write(self.messages[: i + 1])
        if not (self.text.startswith(before) and self.text.startswith(behind)):
            raise ValueError(
                f"the tool calls of message {i + 1} are not found in what the template of {self.model.name} writes"
            )
        ends = [found for found in self.pattern.finditer(behind, len(before)) if not behind[found.end() :].strip()]
        return len(before), ends[0].start() if ends else len(behind)

    def _addition(self):
        """What the template says before the first message, and from where to where it stands."""
        if self.messages[0]["role"] != "user":
            return "", (0, 0)
        opening = self._opening_of_a_later("user")
        start = self.areas[0][0]
        begin = 0
        bos = self.pattern.match(self.text)
        if bos and bos[0] not in opening:  # a beginning of the whole text, not of a message
            begin = bos.end()
        before = self.text[begin:start]
        shared = len(os.path.commonprefix([before[::-1], opening[::-1]]))
        said = before[: len(before) - shared]
        return (said, (begin, begin + len(said))) if re.search(r"\w", self.pattern.sub("", said)) else ("", (0, 0))

    def _opening_of_a_later(self, role):
        """What opens a message of a role that follows an answer and its end."""
        talk = [{"role": name, "content": f"{MARK}{name}{MARK}"} for name in (role, "assistant", role)]
        text = self.write(talk)
        between = text[: text.rindex(MARK + role)].rpartition(MARK)[2]
        end = self.pattern.search(between)
        return between[end.end() :].lstrip() if end else between

    def answer_start(self, i):
        """Where an answer begins: behind what the model is given to write it."""
        begin = self.areas[i][0]
        if i == 0:
            return begin
        before = self._written(self.messages[:i], True)
        if (
            self.text.startswith(before)
            and len(before) <= begin
            and not self.pattern.search(self.text[len(before) : begin])
        ):
            return len(before)
        opening = self._opening(i)
        found = self.text.rfind(opening, 0, begin) if opening else -1
        between = self.text[found + len(opening) : begin]
        return begin if found < 0 or self.pattern.search(between) else found + len(opening)

    def opening_of(self, i):
        """Where the template opens an answer."""
        start, opening = self.answer_start(i), self._opening(i)
        return start - len(opening) if opening and self.text[:start].endswith(opening) else start

    def _opening(self, i):
        """What opens an answer behind the messages before it."""
        if i == 0:
            return ""
        closed, opened = self.write(self.messages[:i]), self.write(self.messages[:i], True)
        return opened[len(os.path.commonprefix([closed, opened])) :]

    def end_of(self, i):
        """Where the control string that ends an answer begins; None where there is none."""
        found = self.pattern.search(self.text, self.areas[i][1])
        return found.start() if found and not self.text[self.areas[i][1] : found.start()].strip() else None


def _tokens(tokeniser, text, cuts, areas, held):
    """The tokens of a page: list of (id, first character, behind its last, its text).

    cuts : places where a token must not reach over: where answers begin, as it is when a model answers
    """
    edges = {0, len(text), *cuts}
    if not tokeniser.exact:
        edges |= {place for area in areas for place in area}
    controls = sorted(tokeniser.control, key=lambda mark: (-len(mark), mark))
    pattern = re.compile("|".join(map(re.escape, controls)) or r"(?!)")
    found = {match.start(): match for match in pattern.finditer(text)}
    edges = sorted(edges | {edge for match in found.values() for edge in match.span()})
    tokens = []
    for begin, end in zip(edges, edges[1:], strict=False):
        if begin in found:
            tokens.append((tokeniser.control[found[begin][0]], begin, end, found[begin][0]))
            continue
        piece, places = _released(text[begin:end], held)
        ids, offsets = tokeniser.encode(piece)
        for id_, (first, last) in zip(ids, offsets, strict=True):
            behind = begin + (places[last - 1] + 1 if last > first else places[first])
            tokens.append((id_, begin + places[first], behind, piece[first:last]))
    if tokeniser.bos is not None and not (tokens and tokens[0][0] == tokeniser.bos):
        tokens.insert(0, (tokeniser.bos, 0, 0, tokeniser.decode([tokeniser.bos])))
    if [id_ for id_, *_ in tokens[:2]] == [tokeniser.bos] * 2:
        del tokens[0]
    return tokens


def _released(piece, held):
    """A piece of a page with the control strings of contents put back; where each of its characters stood before."""
    characters, places = [], []
    for place, character in enumerate(piece):
        back = held.get(character, character)
        characters.append(back)
        places += [place] * len(back)
    return "".join(characters), [*places, len(piece)]


# ---- the template ---------------------------------------------------------------------------------------------------


def _write(model, messages, opened):
    """What the template writes; ValueError, one sentence, if it fails or refuses."""
    import jinja2

    if not model.template:
        raise ValueError(f"{model.name} has no chat template: give load one, template=")
    try:
        return _compiled(model.template).render(
            messages=messages,
            add_generation_prompt=opened,
            bos_token=_name(model, "bos"),
            eos_token=_name(model, "eos"),
        )
    except jinja2.TemplateSyntaxError as error:
        raise ValueError(f"the template of {model.name} is broken in line {error.lineno}: {error.message}") from None
    except (jinja2.TemplateError, TypeError, ValueError, OverflowError, AttributeError, KeyError) as error:
        raise ValueError(f"the template of {model.name} refuses the conversation: {error}") from None


def _name(model, which):
    id_ = getattr(model.tokeniser, which)
    return next((mark for mark, number in model.tokeniser.control.items() if number == id_), "")


@functools.lru_cache(maxsize=16)
def _compiled(template):
    from jinja2.exceptions import TemplateError
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message):
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = lambda value, **settings: json.dumps(value, **({"ensure_ascii": False} | settings))
    environment.globals["raise_exception"] = refuse
    return environment.from_string(template)
