"""scenarios.document_example: its tokens, its network from any start, and the linear rival."""

import numpy as np
import pandas as pd
import pytest

from helpers.scenarios import document_example

ROWS = pd.DataFrame({"text": ["好书推荐", "差书一本", "很好很好", "太差太差"] * 8})
ROWS["label"] = np.where(ROWS["text"].str.contains("好"), "positive", "negative")


def test_tokens_are_characters_or_what_the_old_tokeniser_takes_for_words():
    assert document_example.cut("好, ok", "characters") == ["好", ",", " ", "o", "k"]
    assert document_example.cut("Not good, 不好！", "words") == ["not", "good", "不好！"]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("middle", ["LSTM", "average"])
def test_the_network_learns_one_character_from_any_start(middle, seed):
    predict = document_example.network(ROWS, seed, positions=4, epochs=10, rate=0.01, middle=middle)
    assert (predict(ROWS["text"]) == ROWS["label"]).all()


def test_the_linear_rival_learns_it_from_counts():
    assert (document_example.linear(ROWS, "TF-IDF")(ROWS["text"]) == ROWS["label"]).all()
