"""Rows of shell commands for a language model, and how an answer is judged."""

from test_language_models import CHATML, tiny_tokenizer

from helpers.language_models import LanguageModel, tokenisers
from helpers.scenarios import commands


def test_no_page_and_no_known_repeat_stands_in_two_parts():
    table = commands.table()
    assert (table["repeat"] == "").all() and set(table["part"]) == set(commands.PARTS)
    assert table.groupby("group")["part"].nunique().max() == 1


def test_rows_are_drawn_by_seed_from_one_part_and_one_task():
    first, again, other = (commands.rows("valid", 20, task="description", seed=seed) for seed in (0, 0, 1))
    assert first.index.equals(again.index) and not first.index.equals(other.index)
    assert len(first) == 20 and set(first["part"]) == {"valid"} and set(first["task"]) == {"description"}


def test_what_is_too_long_is_left_out_of_rows_and_frame_alike():
    tokeniser = tokenisers.of_tokenizers(tiny_tokenizer(), eos="<|im_end|>")
    model = LanguageModel("tiny", None, tokeniser, CHATML, 200, (257,), {})
    frame = commands.rows("valid", 50)
    rows, kept = commands.rendered(model, frame)  # a token a byte: most are too long
    assert 0 < len(rows) == len(kept) < len(frame)
    assert max(len(row.ids) for row in rows) <= commands.LONGEST
    for row, target in zip(rows, kept["target"], strict=True):
        assert tokeniser.decode([row.ids[place] for place in row.answer]) == target


def test_an_answer_is_right_but_for_white_space():
    found = commands.judged(["ls  -t", "ls -t", "tar x"], ["ls -t", "ls -l", "zip"])
    assert found["exact"].tolist() == [True, False, False]
    assert found["chrf"].iloc[0] == 100 > found["chrf"].iloc[1] > 40 > found["chrf"].iloc[2]


def test_the_other_sources_are_english():
    assert {name: len(frame) for name, frame in commands.elsewhere(7).items()} == {"docstrings": 7, "small talk": 7}
    assert all(frame["text"].str.contains("[A-Za-z]").all() for frame in commands.elsewhere(7).values())
