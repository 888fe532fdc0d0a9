"""The canonical conversation: what is right is normalised, every fault is one sentence that names the message."""

import copy

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import conversations, datasets
from helpers.conversations import check, conversation, from_rows, weight

QUESTION, ANSWER = {"role": "user", "content": "Time in Oslo?"}, {"role": "assistant", "content": "Ten."}
CALL = {"id": "x1", "name": "clock", "arguments": {"city": "Oslo"}}
CALLING = {"role": "assistant", "content": "", "tool_calls": [CALL]}
RESULT = {"role": "tool", "content": "10:00", "tool_call_id": "x1"}


def said(messages):
    """The sentence that a wrong conversation gets."""
    with pytest.raises(ValueError) as caught:
        check(messages)
    assert "\n" not in str(caught.value) and "Oslo" not in str(caught.value)
    return str(caught.value)


def answered(content):
    return [QUESTION, {"role": "assistant", "content": content}]


def calling(**changed):
    return {**CALLING, "tool_calls": [{**CALL, **changed}]}


# --- what is right ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "messages",
    [
        [QUESTION],
        [QUESTION, ANSWER],
        [{"role": "system", "content": "Be brief."}, QUESTION, ANSWER, QUESTION],
        [QUESTION, CALLING, RESULT, ANSWER],
        [QUESTION, {**CALLING, "content": "Let me see."}, RESULT, ANSWER],
        [QUESTION, CALLING],
        [QUESTION, {**CALLING, "tool_calls": [CALL, {**CALL, "id": "x2"}]}, {**RESULT, "tool_call_id": "x2"}, RESULT],
        [QUESTION, {**ANSWER, "weight": 0}, {**QUESTION, "weight": 0.5}, {**ANSWER, "weight": 2}],
    ],
)
def test_a_normal_form_stays_as_it_is(messages):
    before = copy.deepcopy(messages)
    assert check(messages) == messages == before
    assert check(messages) is not messages


def test_nulls_are_left_out():
    nulls = {"name": None, "tool_call_id": None, "weight": None}
    filled = [{**QUESTION, **nulls, "tool_calls": None}, {**ANSWER, **nulls, "tool_calls": []}]
    before = copy.deepcopy(filled)
    assert check(filled) == [QUESTION, ANSWER]
    assert filled == before


def test_no_content_beside_a_call_is_the_empty_text():
    bare = {key: value for key, value in CALLING.items() if key != "content"}
    assert check([QUESTION, {**CALLING, "content": None}]) == check([QUESTION, bare]) == [QUESTION, CALLING]


def test_a_weight_that_the_role_implies_is_left_out():
    implied = [{**QUESTION, "weight": 0.0}, {**ANSWER, "weight": np.float64(1)}]
    assert check(implied) == [QUESTION, ANSWER]
    assert [weight(message) for message in [QUESTION, ANSWER, RESULT, {**ANSWER, "weight": None}]] == [0, 1, 0, 1]
    assert [weight(message) for message in [{**QUESTION, "weight": 0.5}, {**ANSWER, "weight": 0}]] == [0.5, 0]


@pytest.mark.parametrize("content", ["None", "null", "0", "nan", "<noinput>", " a\n", "。", "👍", "\u200b0", "\\"])
def test_a_short_answer_is_an_answer(content):
    assert check(answered(content))[1]["content"] == content


# --- what is wrong ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["", " \n\t", "\u200b", "\ufeff", "\u3000", "\u200b \u2060\ufe0f", None])
def test_what_shows_nothing_is_empty(content):
    expected = "message 2: the content is empty: give it a text, or leave the message out"
    assert said(answered(content)) == expected


def test_only_calls_excuse_an_empty_content():
    for messages in ([QUESTION, {**CALLING, "tool_calls": []}], [QUESTION, CALLING, {**RESULT, "content": ""}]):
        assert "the content is empty" in said(messages)


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([], "a conversation is a list of one message or more, not an empty list"),
        (QUESTION, "a conversation is a list of one message or more, not a dict"),
        (None, "a conversation is a list of one message or more, not None"),
        ([QUESTION, "Ten."], "message 2: a message is a dict with role and content, not 'Ten.'"),
        (
            [{**QUESTION, "from": "human"}],
            "message 1: the key 'from' is unknown: a message has role, content, weight, ",
        ),
        ([{"content": "Hi"}], "message 1: it has no role: system, user, assistant or tool would be right"),
        ([{"role": "humann", "content": "Hi"}], "message 1: the role 'humann' is unknown: system, user, assistant or"),
        ([QUESTION, {**ANSWER, "role": "Assistant "}], "the role 'Assistant ' is unknown: did you mean 'assistant'?"),
        ([{**QUESTION, "role": ["user"]}], "message 1: the role a list is unknown"),
        (answered(4), "message 2: content is a text, not 4"),
        (answered([{"type": "text", "text": "Ten."}]), "message 2: content is a text, not a list"),
        (answered("Ten\ud83d."), "message 2: character 4 of the content is half of a surrogate pair"),
    ],
)
def test_a_message_out_of_form_is_named(messages, expected):
    assert expected in said(messages)


@pytest.mark.parametrize("given", [-1, float("nan"), float("inf"), True, "1", [1]])
def test_a_weight_is_a_number(given):
    assert said([QUESTION, {**ANSWER, "weight": given}]).endswith(": a number of 0 or more would be right")


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([{**QUESTION, "tool_calls": [CALL]}], "message 1: tool_calls stand beside the role 'user'"),
        ([QUESTION, {**CALLING, "tool_calls": "clock"}], "message 2: tool_calls is a list of calls, not 'clock'"),
        (
            [QUESTION, {**CALLING, "tool_calls": [CALL, {"id": "x2", "type": "function", "function": {}}]}],
            "message 2: tool call 2 is a dict of function, id and type: a dict of id, name and arguments",
        ),
        (
            [QUESTION, {**CALLING, "tool_calls": ["clock"]}],
            "tool call 1 is 'clock': a dict of id, name and arguments",
        ),
        ([QUESTION, {**CALLING, "tool_calls": [{}]}], "tool call 1 is an empty dict: a dict of id, name and arguments"),
        (
            [QUESTION, calling(arguments='{"city"')],
            "arguments of tool call 1 are '{\"city\"': a dict that JSON can hold",
        ),
        ([QUESTION, calling(arguments={"at": {1}})], "message 2: the arguments of tool call 1 are a dict: a dict that"),
        ([QUESTION, calling(arguments={"at": float("nan")})], "message 2: the arguments of tool call 1 are a dict"),
        ([QUESTION, calling(name=" ")], "message 2: the name of tool call 1 is ' ': a text would be right"),
        ([QUESTION, calling(id=1), RESULT], "message 2: the id of tool call 1 is 1: a text would be right"),
        ([QUESTION, CALLING, {**RESULT, "tool_call_id": ["x1"]}], "message 3: the tool_call_id is a list: a text"),
        ([QUESTION, CALLING, {**RESULT, "tool_call_id": None}], "message 3: a message of role tool, and no other, has"),
        ([{**QUESTION, "tool_call_id": "x1"}], "message 1: a message of role tool, and no other, has a tool_call_id"),
        (
            [QUESTION, CALLING, {**RESULT, "tool_call_id": "x9"}],
            "message 3: it answers the call 'x9': x1 would be right",
        ),
        ([QUESTION, CALLING, RESULT, RESULT], "message 4: it answers the call 'x1': no call waits for a result here"),
        (
            [QUESTION, CALLING, QUESTION, ANSWER],
            "message 3: the role is 'user': the result of call 'x1' (message 2) would be right first",
        ),
        ([QUESTION, CALLING, RESULT, CALLING], "message 4: two calls have the id 'x1'"),
        ([QUESTION, {**CALLING, "tool_calls": [CALL, CALL]}], "message 2: two calls have the id 'x1'"),
    ],
)
def test_a_call_without_its_partner_is_named(messages, expected):
    assert expected in said(messages)


def test_a_sentence_shows_a_few_words_of_a_row():
    assert said([{"role": "user " * 1000, "content": "Hi"}]).count("user ") < 10


MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool", "bot", None]), "content": st.text(max_size=3)},
    optional={
        "weight": st.one_of(st.none(), st.floats(), st.integers(-1, 2), st.text(max_size=1)),
        "tool_calls": st.one_of(st.none(), st.lists(st.sampled_from([CALL, {**CALL, "id": "x2"}, {}]), max_size=2)),
        "tool_call_id": st.sampled_from([None, "x1", "x2", 3]),
        "name": st.none(),
    },
)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.one_of(st.sampled_from([QUESTION, ANSWER, CALLING, RESULT]), MESSAGES), max_size=5))
def test_a_normal_form_is_its_own_or_the_fault_is_a_sentence(messages):
    try:
        normal = check(messages)
    except datasets.DataError:
        return
    assert check(normal) == normal
    assert [weight(message) for message in normal] == [weight(message) for message in messages]
    assert not any(value in (None, []) for message in normal for value in message.values())


# --- rows -------------------------------------------------------------------------------------------------------------


def test_a_conversation_of_a_question_and_an_answer():
    system = {"role": "system", "content": "Be brief."}
    assert conversation("Time in Oslo?", "Ten.") == [QUESTION, ANSWER]
    assert conversation("Time in Oslo?", "Ten.", "Be brief.") == [system, QUESTION, ANSWER]
    with pytest.raises(ValueError, match="message 1: the content is empty"):
        conversation("Time in Oslo?", "Ten.", "")
    with pytest.raises(ValueError, match="message 2: the content is empty"):
        conversation("Time in Oslo?", None)


def test_rows_become_conversations_in_their_order():
    frame = datasets.load("instructions").tail(100).iloc[::-1]
    made = from_rows(frame)
    assert [[message["content"] for message in one] for one in made] == frame[["text", "target"]].to_numpy().tolist()
    assert from_rows(frame.head(0)) == []


def test_a_row_without_an_answer_and_a_table_without_a_column_are_named():
    frame = pd.DataFrame({"text": ["a", "b"], "target": ["1", " "]}, index=[7, 9])
    with pytest.raises(datasets.DataError, match="^row 9: message 2: the content is empty"):
        from_rows(frame)
    with pytest.raises(datasets.DataError, match="message 2: content is a text, not nan"):
        from_rows(frame.assign(target=[float("nan"), "1"]))
    with pytest.raises(datasets.DataError, match="no column 'target': text"):
        from_rows(frame[["text"]])


def test_every_row_of_the_courses_pairs_is_a_conversation():
    for name in ("docs_qa", "dialogues"):
        frame = datasets.load(name)
        assert len(conversations.from_rows(frame)) == len(frame)
