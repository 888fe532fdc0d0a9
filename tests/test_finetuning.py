"""fine_tune against scikit-learn, values worked by hand and scripted runs; a small network where size is no matter."""

import itertools

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss

from helpers import datasets, finetuning, pretrained
from helpers.finetuning import fine_tune

GOOD = ["A joy to watch.", "Wonderful, warm and funny.", "I loved every minute.", "The best film of the year."]
BAD = ["A waste of time.", "Dull, cold and silly.", "I hated every minute.", "The worst film of the year."]
TEXTS, LABELS = GOOD + BAD, ["good"] * 4 + ["bad"] * 4


@pytest.fixture(autouse=True, scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Word vectors, dropout and their normalised mean in place of the six layers of minilm."""

    def network(weights):
        inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in ("token_ids", "padding_mask")}
        words = keras.layers.Embedding(30_522, 384)(inputs["token_ids"])
        words = keras.layers.LayerNormalization()(keras.layers.Dropout(0.1)(words))
        mean = keras.layers.GlobalAveragePooling1D()(words, mask=inputs["padding_mask"])
        return keras.Model(inputs, keras.layers.UnitNormalization()(mean))

    monkeypatch.setattr(pretrained, "_minilm", network)
    monkeypatch.setattr(pretrained, "_frozen", pretrained.encoder)
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))


@pytest.fixture(scope="module")
def film():
    """Train and held-out film snippets that their raters lean to one side on."""
    frame = datasets.load("snippets_en").query("source == 'film' and abs(score) > 1")
    return frame.sample(1_000, random_state=0)


def weights_of(model):
    return [np.array(keras.ops.convert_to_numpy(variable.value)) for variable in model.weights]


# ---- real weights


def accuracy_of(result, frame):
    return accuracy_score(frame["label"], np.array(result.classes)[result.predict(frame["text"]).argmax(axis=1)])


def test_head_alone_does_as_well_as_logistic_regression_on_the_same_vectors(film):
    train, test = film[:300], film[700:]
    result = fine_tune(train["text"], train["label"], method="head")
    regression = LogisticRegression().fit(pretrained.embed(train["text"], max_tokens=64), train["label"])
    reference = regression.score(pretrained.embed(test["text"], max_tokens=64), test["label"])
    assert accuracy_of(result, test) == pytest.approx(reference, abs=0.03) and reference > 0.65
    assert result.model.count_params() == 384 * 2 + 2


def test_full_fine_tuning_learns(film):
    train, test = film[:192], film[800:]
    result = fine_tune(
        train["text"], train["label"], epochs=3, batch_size=16, learning_rate=2e-4, max_tokens=16
    )  # small and fast
    assert accuracy_of(result, test) > 0.62  # an even guess: .5
    assert result.history["train_accuracy"].iloc[-1] > 0.9
    original = pretrained._frozen("minilm").get_layer("bert").get_layer("transformer_layer_0")
    tuned = result.model.get_layer("bert").get_layer("transformer_layer_0")
    assert not any((a == b).all() for a, b in zip(weights_of(original), weights_of(tuned), strict=True) if a.ndim > 1)


def test_chinese_by_the_same_call():
    frame = datasets.load("reviews_zh").drop_duplicates("text").sample(500, random_state=0)
    result = fine_tune(frame["text"][:300], frame["label"][:300], encoder="use", epochs=3, max_tokens=32)
    assert accuracy_of(result, frame[300:]) > 0.6
    table, untouched = (
        model.get_layer("table").get_weights()[0] for model in (result.model, pretrained.encoder("use"))
    )
    np.testing.assert_array_equal(table, untouched)


# ---- what comes back


def test_same_seed_same_predictions(small):
    first, second, other = (
        fine_tune(TEXTS, LABELS, batch_size=2, learning_rate=0.05, seed=s).predict(TEXTS) for s in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("method", ["head", "full", "scratch"])
def test_shapes_and_order(small, method):
    result = fine_tune(pd.Series(TEXTS, index=range(8, 16)), pd.Series(LABELS), method=method, epochs=1)
    assert result.classes == ["bad", "good"]
    probabilities = result.predict(TEXTS)
    assert probabilities.shape == (8, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_allclose(result.predict(TEXTS[::-1]), probabilities[::-1], atol=1e-6)
    assert result.predict([]).shape == (0, 2)
    assert result.history["epoch"].tolist() == [1] and result.history["valid_loss"].isna().all()
    assert 0 < result.history["seconds"].sum() < result.seconds


def test_history_holds_what_scikit_learn_measures(small):
    valid = (["Joy!", "Dull.", "Hm."], ["good", "bad", "good"])
    result = fine_tune(TEXTS, LABELS, valid=valid, epochs=1, learning_rate=0.1)
    probabilities = result.predict(valid[0])
    row = result.history.iloc[0]
    assert row["valid_loss"] == pytest.approx(log_loss(valid[1], probabilities, labels=["bad", "good"]), rel=1e-5)
    found = np.array(result.classes)[probabilities.argmax(axis=1)]
    assert row["valid_accuracy"] == pytest.approx(accuracy_score(valid[1], found))


def test_train_loss_is_the_mean_over_texts(small, monkeypatch):
    monkeypatch.setattr(keras.layers, "Dropout", lambda rate: keras.layers.Identity())
    result = fine_tune(TEXTS[:7], LABELS[:7], epochs=1, batch_size=4, learning_rate=1e-9)  # 7 = 4 + 3: one short batch
    probabilities = result.predict(TEXTS[:7])  # such a rate moves nothing
    assert result.history["train_loss"][0] == pytest.approx(log_loss(LABELS[:7], probabilities), rel=1e-5)


def test_a_short_batch_counts_its_texts_alone(small, monkeypatch):
    monkeypatch.setattr(keras.layers, "Dropout", lambda rate: keras.layers.Identity())
    full, short = (fine_tune(TEXTS, LABELS, epochs=3, batch_size=n, learning_rate=0.1).predict(TEXTS) for n in (8, 20))
    np.testing.assert_allclose(short, full, atol=1e-5)


@pytest.mark.parametrize(("restore_best", "kept"), [(True, 1), (False, 3)])
def test_the_best_epoch_is_restored(small, monkeypatch, restore_best, kept):
    losses, seen = iter([0.7, 0.5, 0.6, 0.5]), []

    def scripted(model, inputs, targets):
        seen.append(weights_of(model))
        return next(losses), 0.5

    monkeypatch.setattr(finetuning, "_evaluate", scripted)
    result = fine_tune(TEXTS, LABELS, valid=(TEXTS, LABELS), epochs=4, learning_rate=0.1, restore_best=restore_best)
    variables = zip(result.model.trainable_variables, weights_of(result.model), strict=False)
    assert all(np.array_equal(now, then) for (_, now), then in zip(variables, seen[kept], strict=False))
    assert not all(np.array_equal(a, b) for a, b in itertools.pairwise([seen[1][0], seen[3][0]]))


def test_the_share_of_cut_texts(small):
    long = "word " * 20
    assert fine_tune([long, *TEXTS], ["good", *LABELS], max_tokens=12, epochs=1).truncated == pytest.approx(1 / 9)
    assert fine_tune(TEXTS, LABELS, max_tokens=12, epochs=1).truncated == 0


def test_rates_by_hand(small):
    assert finetuning._rates(4, 2.0, 0.5) == [1, 2, 2, 1]
    assert finetuning._rates(4, 1.0, 0) == [1, 0.75, 0.5, 0.25]
    assert finetuning._rates(2, 1.0, 1) == [0.5, 1]
    result = fine_tune(TEXTS, LABELS, epochs=2, batch_size=4, learning_rate=0.4, warmup=0.5)
    assert float(result.model.optimizer.learning_rate) == pytest.approx(0.2)


def test_only_weight_matrices_decay(small):
    """Without a gradient AdamW multiplies by 1 − rate · decay each step (Loshchilov & Hutter 2019, algorithm 2)."""
    keras.utils.set_random_seed(0)
    start = weights_of(finetuning._classifier("minilm", "full", 2))
    keras.utils.set_random_seed(0)
    result = fine_tune(["a", "b"], [0, 1], epochs=1, learning_rate=1e-4, warmup=0, weight_decay=1e3)
    end = {variable.name: value for variable, value in zip(result.model.weights, weights_of(result.model), strict=True)}
    unused = 20_000  # a word that no text holds
    np.testing.assert_allclose(end["embeddings"][unused], start[0][unused] * 0.9, rtol=1e-4)
    np.testing.assert_allclose(end["gamma"], 1, atol=2e-4)  # moved by one step of Adam, the rate, and no more


# ---- faults


def test_a_loss_that_is_no_number_names_the_batch(small):
    with pytest.raises(FloatingPointError, match=r"the loss is \w+ at batch [2-4] of epoch 1: try a learning_rate"):
        fine_tune(TEXTS, LABELS, batch_size=2, learning_rate=1e38, warmup=0)


@pytest.mark.parametrize(
    ("texts", "labels", "settings", "message"),
    [
        ([], [], {}, "^texts is empty: give labelled texts$"),
        (["a", "b"], [0], {}, "^texts has 2 rows, labels 1: give one label per text$"),
        (["a", "b"], [1, 1], {}, "^labels holds one class only, 1: give texts of at least two classes$"),
        (["a", float("nan")], [0, 1], {}, r"^texts\[1\] is nan, not a string"),
        (["a", "b"], ["x", None], {}, r"^labels\[1\] is None: give strings or integers, none missing$"),
        (["a", "b"], [0.0, 1.0], {}, r"^labels\[0\] is 0.0: give strings or integers"),
        (["a", "b"], ["x", 1], {}, "^labels mixes strings and integers: give one kind$"),
        (
            ["a", "b"],
            [0, 1],
            {"valid": (["c"], [2])},
            r"^valid labels\[0\] is 2, which no training label is: .* \[0, 1\]$",
        ),
        (["a", "b"], [0, 1], {"valid": ([], [])}, "^valid texts is empty"),
        (["a", "b"], [0, 1], {"valid": (["c"], [])}, "^valid texts has 1 rows, valid labels 0"),
        (["a", "b"], [0, 1], {"method": "lora"}, "^method is 'lora': take one of 'full', 'head', 'scratch'$"),
        (["a", "b"], [0, 1], {"encoder": "bert"}, "^encoder is 'bert': take one of 'minilm', 'use'$"),
        (["a", "b"], [0, 1], {"epochs": 0}, "^epochs is 0: give a whole number from 1$"),
        (["a", "b"], [0, 1], {"batch_size": 1.5}, "^batch_size is 1.5: give a whole number from 1$"),
        (["a", "b"], [0, 1], {"learning_rate": 0}, "^learning_rate is 0: give a number above 0$"),
        (["a", "b"], [0, 1], {"warmup": 2}, "^warmup is 2: give a share from 0 to 1$"),
        (["a", "b"], [0, 1], {"weight_decay": -1}, "^weight_decay is -1: give a number from 0$"),
        (["a", "b"], [0, 1], {"max_tokens": 600}, "^max_tokens is 600: 'minilm' takes 3 to 512$"),
    ],
)
def test_bad_input_gets_one_clear_sentence(texts, labels, settings, message):
    with pytest.raises(ValueError, match=message):
        fine_tune(texts, labels, **settings)
