"""Collect: what a language model learns from, in one form, a conversation: a list of messages, each a dict.

    role          "system", "user", "assistant" or "tool"
    content       what is said, a text; "" only beside tool_calls
    weight        how much the message counts in training, a number ≥ 0; left out where it is what its role implies: 1
                  for what the assistant says, 0 for all else
    tool_calls    what the assistant calls: list of {"id": text, "name": text, "arguments": dict that JSON can hold}
    tool_call_id  in a message of role tool: which of the calls it answers

Every call is answered before anybody else speaks, unless the conversation ends in calls, which are then the last
answer. The form asks for no order of turns beyond that: what a model's template takes is the template's to say.
"""

import difflib
import json
import math
import numbers

from helpers.datasets import FORMAT, UNSEEN, DataError

ROLES = ["system", "user", "assistant", "tool"]
KEYS = ["role", "content", "weight", "tool_calls", "tool_call_id"]
CALL = ["id", "name", "arguments"]


def conversation(prompt, answer, system=None):
    """The conversation of one question and its answer, behind a system message if there is one; checked.

    >>> conversation("2 + 2?", "4")
    [{'role': 'user', 'content': '2 + 2?'}, {'role': 'assistant', 'content': '4'}]
    """
    said = [("system", system), ("user", prompt), ("assistant", answer)]
    return check([{"role": role, "content": text} for role, text in said if (role, text) != ("system", None)])


def from_rows(frame):
    """A conversation of each row of a table: its text is the prompt, its target the answer.

    frame   : columns text, target, both texts (`datasets.load("instructions")`); other columns are not looked at
    returns : list of conversations, in the order of the rows
    errors  : DataError that names a missing column, or the row (by its index) whose text or target is none
    """
    if missing := [column for column in ("text", "target") if column not in frame]:
        raise DataError(f"the table has no column {missing[0]!r}: text (the prompt) and target (the answer) are needed")
    found = []
    for row, prompt, answer in zip(frame.index, frame["text"], frame["target"], strict=True):
        try:
            found.append(conversation(prompt, answer))
        except DataError as error:
            raise DataError(f"row {row}: {error}") from None
    return found


def weight(message):
    """How much a message counts in training: its weight, or what its role implies, 1 for an assistant and 0 for others.

    >>> [weight(message) for message in conversation("2 + 2?", "4")]
    [0, 1]
    """
    given = message.get("weight")
    return int(message["role"] == "assistant") if given is None else given


def check(conversation):
    """A conversation in its normal form, in which equal ones compare as equal.

    Left out are keys that hold None, an empty list of tool_calls, and a weight that the role implies; the content of a
    message with tool_calls becomes "" where it is None or missing. Nothing else is changed, nothing is repaired, and
    the conversation given stays as it is.

    errors : DataError (a ValueError), one sentence that names the message, counted from 1, and what would be right: a
             message or a call that is no dict or has other keys than the form, an unknown role, content that is no text
             or that shows nothing (white space and invisible characters), half a surrogate pair, a weight that is no
             number ≥ 0, calls by another than the assistant, two calls of one id, arguments that are no object, a
             result without its call, a call without its result

    >>> check([{"role": "user", "content": "Hi", "name": None}, {"role": "assistant", "content": "Hello", "weight": 1}])
    [{'role': 'user', 'content': 'Hi'}, {'role': 'assistant', 'content': 'Hello'}]
    >>> check([{"role": "user", "content": "Hi"}, {"role": "asistant", "content": "Hello"}])
    Traceback (most recent call last):
    helpers.datasets.DataError: message 2: the role 'asistant' is unknown: did you mean 'assistant'?
    """
    if not isinstance(conversation, list | tuple) or not conversation:
        raise DataError(f"a conversation is a list of one message or more, not {_shown(conversation)}")
    messages, calls, open_calls = [], set(), {}
    for number, message in enumerate(conversation, 1):
        try:
            message = _message(message)
            _follow_calls(message, number, calls, open_calls)
        except DataError as error:
            raise DataError(f"message {number}: {error}") from None
        messages.append(message)
    return messages


def _message(message):
    """One message in its normal form, looked at by itself."""
    if not isinstance(message, dict):
        raise DataError(f"a message is a dict with role and content, not {_shown(message)}")
    given = {key: value for key, value in message.items() if value is not None and not _no_calls(key, value)}
    if unknown := [key for key in given if key not in KEYS]:
        raise DataError(f"the key {_shown(unknown[0])} is unknown: a message has {_listed(KEYS)}")
    role, content, calls = (given.get(key) for key in ("role", "content", "tool_calls"))
    if role not in ROLES:
        raise DataError(_role_fault(role))
    if "tool_calls" in given and role != "assistant":
        raise DataError(f"tool_calls stand beside the role {role!r}: only the assistant calls")
    if ("tool_call_id" in given) != (role == "tool"):
        raise DataError("a message of role tool, and no other, has a tool_call_id, the id of the call that it answers")
    normal = {"role": role, "content": _content(content, "tool_calls" in given)}
    if "weight" in given and _weight(given["weight"]) != weight({"role": role}):
        normal["weight"] = given["weight"]
    if "tool_calls" in given:
        if not isinstance(calls, list | tuple):
            raise DataError(f"tool_calls is a list of calls, not {_shown(calls)}")
        normal["tool_calls"] = [_call(call, i) for i, call in enumerate(calls, 1)]
    if role == "tool":
        normal["tool_call_id"] = _name("tool_call_id", given["tool_call_id"])
    return normal


def _no_calls(key, value):
    return key == "tool_calls" and isinstance(value, list | tuple) and not value


def _role_fault(role):
    if role is None:
        return f"it has no role: {_listed(ROLES, 'or')} would be right"
    near = difflib.get_close_matches(str(role).strip().lower(), ROLES, 1)
    right = f"did you mean {near[0]!r}?" if near else f"{_listed(ROLES, 'or')} would be right"
    return f"the role {_shown(role)} is unknown: {right}"


def _content(content, beside_calls):
    if content is None and beside_calls:
        return ""
    if content is not None and not isinstance(content, str):
        raise DataError(f"content is a text, not {_shown(content)}")
    if not beside_calls and (content is None or not FORMAT.sub("", UNSEEN.sub("", content)).strip()):
        raise DataError("the content is empty: give it a text, or leave the message out")
    return _whole(content)


def _whole(text):
    """The text itself, unless it holds half of a character, which no file can store."""
    try:
        text.encode("utf8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"character {error.start + 1} of the content is half of a surrogate pair, which no file in UTF-8 holds: "
            "read the text again from its source"
        ) from None
    return text


def _weight(given):
    real = isinstance(given, numbers.Real) and not isinstance(given, bool)
    if not real or not math.isfinite(given) or given < 0:
        raise DataError(f"the weight is {_shown(given)}: a number of 0 or more would be right")
    return given


def _call(call, number):
    """One tool call in its normal form."""
    if not isinstance(call, dict) or set(call) != set(CALL):
        given = f"a dict of {_listed(sorted(map(str, call)))}" if isinstance(call, dict) and call else _shown(call)
        raise DataError(f"tool call {number} is {given}: a dict of {_listed(CALL)} would be right")
    for key in ("id", "name"):
        _name(f"{key} of tool call {number}", call[key])
    try:
        json.dumps(call["arguments"], allow_nan=False)
        fits = isinstance(call["arguments"], dict)
    except (TypeError, ValueError):
        fits = False
    if not fits:
        given = _shown(call["arguments"])
        raise DataError(f"the arguments of tool call {number} are {given}: a dict that JSON can hold would be right")
    return {key: call[key] for key in CALL}


def _name(what, given):
    if not isinstance(given, str) or not given.strip():
        raise DataError(f"the {what} is {_shown(given)}: a text would be right")
    return given


def _follow_calls(message, number, calls, open_calls):
    """Keeps the ids of all calls, and {id: number of the message} of those without a result, up to date."""
    if message["role"] == "tool":
        if open_calls.pop(message["tool_call_id"], None) is None:
            waiting = f"{_listed(open_calls, 'or')} would be right" if open_calls else "no call waits for a result here"
            raise DataError(f"it answers the call {_shown(message['tool_call_id'])}: {waiting}")
        return
    if open_calls:
        call, made = next(iter(open_calls.items()))
        role = message["role"]
        raise DataError(f"the role is {role!r}: the result of call {call!r} (message {made}) would be right first")
    for call in message.get("tool_calls", []):
        if call["id"] in calls:
            raise DataError(f"two calls have the id {call['id']!r}: an id of its own for each would be right")
        calls.add(call["id"])
        open_calls[call["id"]] = number


def _listed(words, last="and"):
    *most, end = map(str, words)
    return f"{', '.join(most)} {last} {end}" if most else end


def _shown(value):
    """A value for a sentence: a few words of a text, the kind of what is long."""
    if value is None:
        return "None"
    if isinstance(value, str | bool | numbers.Number):
        text = repr(value)
        return text if len(text) <= 40 else f"{text[:36]}…{text[0]}"
    return f"{'an empty ' if hasattr(value, '__len__') and not len(value) else 'a '}{type(value).__name__}"
