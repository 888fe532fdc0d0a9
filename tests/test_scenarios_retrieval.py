"""scenarios.retrieval: the loss and the scores by hand and by the libraries, the batches, the encoder in two parts."""

import keras
import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import label_ranking_average_precision_score, top_k_accuracy_score

from helpers import pretrained
from helpers.runner import studies
from helpers.scenarios import retrieval

study = studies.module("retrieval")
rng = np.random.default_rng(0)


def unit(*shape):
    rows = rng.normal(size=shape)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.equation("10.1")
def test_bm25_by_hand_and_by_the_library():
    answers = [["sort", "rows"], ["sort", "sort", "a", "list"], ["plot", "rows"]]
    # "sort" stands in two of three answers, their mean length is 8/3; k1 = 1.5, b = .75
    idf = np.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    by_hand = [idf * tf / (tf + 1.5 * (0.25 + 0.75 * length / (8 / 3))) for tf, length in ((1, 2), (2, 4), (0, 2))]
    by_library = retrieval.bm25(["sort"], [" ".join(answer) for answer in answers], analyse=str.split)[0]
    assert by_library == pytest.approx(by_hand, abs=1e-6)
    assert by_hand == pytest.approx([0.47 / (1 + 1.21875), 2 * 0.47 / (2 + 2.0625), 0], abs=1e-3)


@pytest.mark.equation("10.2")
def test_in_batch_loss_by_hand_by_scipy_and_by_keras():
    right = np.array([[1.0, 0], [0, 1]])
    # scores 1 and 0 at temperature 1/2: log(1 + e^-2)
    assert retrieval.info_nce(right, right, temperature=0.5) == pytest.approx(np.log1p(np.exp(-2)))
    assert retrieval.info_nce(right, right[::-1], temperature=0.5) == pytest.approx(2 + np.log1p(np.exp(-2)))
    questions, answers = unit(7, 5), unit(7, 5)
    scores = questions @ answers.T / 0.05
    by_scipy = -np.diag(log_softmax(scores, axis=1)).mean()
    by_keras = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(np.arange(7), scores)
    assert retrieval.info_nce(questions, answers, 0.05) == pytest.approx(by_scipy)
    assert float(by_keras) == pytest.approx(by_scipy, rel=1e-5)


def test_the_model_scores_every_question_against_every_answer_of_the_batch():
    hidden, mask = keras.Input((None, 384)), keras.Input((None,), dtype="int32")
    mean = keras.layers.GlobalAveragePooling1D()(hidden, mask=mask)
    upper = keras.Model([hidden, mask], keras.layers.UnitNormalization()(mean))
    question, answer = (rng.normal(size=(3, width, 384)).astype("float32") for width in (4, 6))
    masks = np.ones((3, 4), "int32"), np.ones((3, 6), "int32")
    scores = retrieval.scorer(upper, 0.05).predict_on_batch([question, masks[0], answer, masks[1]])
    left, right = (x.mean(1) / np.linalg.norm(x.mean(1), axis=1, keepdims=True) for x in (question, answer))
    np.testing.assert_allclose(scores, left @ right.T / 0.05, atol=1e-4)


def test_a_run_does_not_depend_on_the_runs_before_it():
    rows = study.parts()["train"].iloc[:32]
    first = retrieval.tune(rows, layers=1, rate=1e-3, seed=0)
    other = retrieval.tune(rows, layers=1, rate=1e-3, seed=1)
    assert retrieval.tune(rows, layers=1, rate=1e-3, seed=0) == first != other


def test_batches_hold_each_row_once_and_one_package_where_asked():
    rows = study.draw("random", 512, 0)
    for one_package in (False, True):
        batches = retrieval.orders(rows, one_package, np.random.default_rng(0))
        assert sorted(batches.ravel()) == list(range(512))
        of_one = [rows["group"].iloc[batch].nunique() == 1 for batch in batches]
        assert all(of_one) if one_package else not any(of_one)


def test_ranks_agree_with_scikit_learn():
    scores = rng.normal(size=(40, 40)).round(1)  # with ties
    rank = retrieval.first_ranks(scores)
    assert np.mean(1 / rank) == pytest.approx(label_ranking_average_precision_score(np.eye(40), scores))
    distinct = rng.normal(size=(40, 40))
    found = np.mean(retrieval.first_ranks(distinct) <= 10)
    assert found == pytest.approx(top_k_accuracy_score(np.arange(40), distinct, k=10))
    several = np.array([[3.0, 2.0, 1.0]]), np.array([[False, True, True]])
    assert retrieval.first_ranks(*several).tolist() == [2]


def test_no_answer_is_told_by_taking_the_package_out():
    scores = np.array([[0.9, 0.2, 0.5], [0.1, 0.8, 0.3], [0.4, 0.3, 0.7]])
    inside, outside = retrieval.best_scores(scores, ["a", "a", "b"])
    assert inside.tolist() == [0.9, 0.8, 0.7] and outside.tolist() == [0.5, 0.3, 0.4]
    assert retrieval.auroc(scores, ["a", "a", "b"]) == 1


def test_words_split_identifiers_and_drop_endings():
    assert retrieval.words("read_csv of DataFrames, HTTPServer2") == [
        "read", "csv", "of", "data", "frame", "http", "server", "2",
    ]  # fmt: skip


def test_fusion_prefers_what_both_rank_high():
    one, other = np.array([[3.0, 2.0, 1.0]]), np.array([[1.0, 2.0, 0.0]])
    fused = retrieval.fuse(one, other)[0]
    assert fused == pytest.approx([1 / 61 + 1 / 62, 1 / 62 + 1 / 61, 2 / 63])


def test_upper_and_lower_part_together_are_the_encoder():
    texts = ["Compute the mean.", "Draw a line on the axes"]
    whole = pretrained.forward(pretrained.encoder("minilm"), pretrained.tokenise(texts, max_tokens=24))
    retrieval.halves(2)[1].set_weights(retrieval.halves(2)[2])
    np.testing.assert_allclose(retrieval.vectors(texts, "text", 2), whole, atol=2e-3)
