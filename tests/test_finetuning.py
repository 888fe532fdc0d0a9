"""fine_tune against scikit-learn, values worked by hand and scripted runs; a small network where size is no matter."""

import gc
import itertools
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import psutil
import pytest
from numpy.random import default_rng
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.utils.class_weight import compute_sample_weight

from helpers import datasets, on_tensorflow, pretrained
from helpers.finetuning import DEFAULTS, fine_tune, make_reproducible, methods, sixteen_bits, training

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


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny_bert(tmp_path_factory.mktemp("tiny"))


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "joy", "to", "watch", "waste", "of", "time", "dull", "cold"]
WORDS += ["wonderful", "warm", "##ly", ".", ","]


def save_tiny_bert(folder):
    """A BERT of two layers with random weights, saved as KerasHub saves a preset."""
    import keras_hub

    keras.utils.set_random_seed(1)
    keras_hub.models.BertBackbone(
        vocabulary_size=len(WORDS),
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=32,
        max_sequence_length=40,
    ).save_to_preset(str(folder))
    keras_hub.models.BertTokenizer(vocabulary=WORDS, lowercase=True).save_to_preset(str(folder))
    return str(folder)


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


def test_dropout_of_a_model_built_before_starts_anew():
    model = keras.Sequential([keras.Input((50,)), keras.layers.Dropout(0.5), keras.layers.Dropout(0.5)])
    ones = np.ones((2, 50), "float32")

    def dropped(*given):
        make_reproducible(*given)
        return keras.ops.convert_to_numpy(model(ones, training=True))

    first = dropped(3, model)
    np.testing.assert_array_equal(dropped(3, model), first)
    assert not np.array_equal(dropped(4, model), first)
    if keras.backend.backend() != "torch":  # where all dropout draws from PyTorch's own generator
        dropped(3, model)
        assert not np.array_equal(dropped(3), first)


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

    def scripted(model, inputs, targets, parts):
        seen.append(weights_of(model))
        return next(losses), 0.5

    monkeypatch.setattr(training, "evaluate", scripted)
    result = fine_tune(TEXTS, LABELS, valid=(TEXTS, LABELS), epochs=4, learning_rate=0.1, restore_best=restore_best)
    variables = zip(result.model.trainable_variables, weights_of(result.model), strict=False)
    assert all(np.array_equal(now, then) for (_, now), then in zip(variables, seen[kept], strict=False))
    assert not all(np.array_equal(a, b) for a, b in itertools.pairwise([seen[1][0], seen[3][0]]))


def test_the_share_of_cut_texts(small):
    long = "word " * 20
    assert fine_tune([long, *TEXTS], ["good", *LABELS], max_tokens=12, epochs=1).truncated == pytest.approx(1 / 9)
    assert fine_tune(TEXTS, LABELS, max_tokens=12, epochs=1).truncated == 0


def test_rates_by_hand(small):
    assert training.rates(4, 2.0, 0.5) == [1, 2, 2, 1]
    assert training.rates(4, 1.0, 0) == [1, 0.75, 0.5, 0.25]
    assert training.rates(2, 1.0, 1) == [0.5, 1]
    result = fine_tune(TEXTS, LABELS, epochs=2, batch_size=4, learning_rate=0.4, warmup=0.5)
    assert float(result.model.optimizer.learning_rate) == pytest.approx(0.2)


def test_only_weight_matrices_decay(small):
    """Without a gradient AdamW multiplies by 1 − rate · decay each step (Loshchilov & Hutter 2019, algorithm 2)."""
    keras.utils.set_random_seed(0)
    start = weights_of(methods.classifier("minilm", "full", 2))
    keras.utils.set_random_seed(0)
    result = fine_tune(["a", "b"], [0, 1], epochs=1, learning_rate=1e-4, warmup=0, weight_decay=1e3)
    end = {variable.name: value for variable, value in zip(result.model.weights, weights_of(result.model), strict=True)}
    unused = 20_000  # a word that no text holds
    np.testing.assert_allclose(end["embeddings"][unused], start[0][unused] * 0.9, rtol=1e-4)
    np.testing.assert_allclose(end["gamma"], 1, atol=2e-4)  # moved by one step of Adam, the rate, and no more


# ---- methods


@pytest.mark.parametrize(
    ("method", "trained", "moving"),
    [  # worked by hand: a layer has 2,224 numbers, the embeddings 1,008, the head 34
        ("full", 2 * 2_224 + 1_008 + 34, "all"),
        ("last", 2_224 + 34, "transformer_layer_1|head"),
        # query and value of both layers: A (16, 2 heads, 3), B (3, 8), and a bias of 16
        ("lora", 4 * (16 * 2 * 3 + 3 * 8 + 16) + 34, "lora_kernel|(query|value)/bias|head"),
    ],
)
def test_what_a_method_trains_moves_and_nothing_else(tiny, method, trained, moving):
    result = fine_tune(TEXTS, LABELS, encoder=tiny, method=method, layers=1, rank=3, epochs=1, max_tokens=16, warmup=0)
    assert result.trained == trained == sum(np.size(v) for v in result.model.trainable_variables)
    keras.utils.set_random_seed(0)
    start = methods.classifier(tiny, method, 2, layers=1, rank=3)
    names = [variable.path for variable in result.model.weights]
    moved = [(a != b).any() for a, b in zip(weights_of(start), weights_of(result.model), strict=True)]
    expected = [moving == "all" or re.search(moving, name) is not None for name in names]
    # a key's bias has no gradient (softmax does not see it), the pooled layer has no use here
    still = [re.search("key/bias|pooled_dense", name) is not None for name in names]
    assert [m for m, s in zip(moved, still, strict=True) if not s] == [
        e for e, s in zip(expected, still, strict=True) if not s
    ]
    np.testing.assert_allclose(result.predict(TEXTS).sum(axis=1), 1)


def test_layers_and_ranks_of_the_two_encoders():
    assert set(DEFAULTS) == {"full", "last", "lora", "head", "scratch"}
    model = methods.classifier("use", "lora", 2, rank=4)
    dense = [(512, 768), (1024 + 256, 512), (512, 320), (320, 320), (512, 320), (320, 512), (512, 512), (320, 512)]
    names = ["project", "mean", "deep_0", "deep_1", "short_1", "deep_2", "deep_3", "short_3"]
    assert [model.get_layer(name).lora_kernel_a.shape for name in names] == [(a, 4) for a, _ in dense]
    biases = 768 + 512
    assert methods.trained(model) == sum(4 * (a + b) for a, b in dense) + biases + 2 * 512 + 2
    with pytest.raises(ValueError, match="^layers is 5: 'use' has 1 to 4 above its embeddings$"):
        methods.classifier("use", "last", 2, layers=5)


def test_rates_of_the_layers_by_hand(tiny):
    optimizer = methods.optimiser(model := methods.classifier(tiny, "full", 2), 0.01, 0.5)
    found = {
        variable.path: factor for variable, factor in zip(model.trainable_variables, optimizer.factors, strict=True)
    }
    for part, factor in (("head", 1), ("transformer_layer_1", 1 / 2), ("transformer_layer_0", 1 / 4), ("embed", 1 / 8)):
        assert {found[path] for path in found if part in path} == {factor}
    decayed = {path for path, decay in zip(found, optimizer.decays, strict=True) if decay}
    assert decayed == {path for path in found if re.search("kernel|embeddings$", path)}


def test_a_layers_rate_is_adamw_at_that_rate():
    keras.utils.set_random_seed(0)
    gradients = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    start = np.ones(4, "float32")

    def end(optimizer):
        variables = [keras.Variable(start, name="kernel"), keras.Variable(start, name="kernel_2")]
        optimizer.build(variables)
        for gradient in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(gradient)] * 2, variables)
        return [np.array(keras.ops.convert_to_numpy(variable.value)) for variable in variables]

    slow, fast = end(methods.AdamW([0.1, 1], [0.5, 0.5], learning_rate=0.02))
    np.testing.assert_allclose(slow, end(keras.optimizers.AdamW(0.002, weight_decay=0.5))[0], rtol=1e-6)
    np.testing.assert_allclose(fast, end(keras.optimizers.AdamW(0.02, weight_decay=0.5))[0], rtol=1e-6)
    undecayed = end(methods.AdamW([1, 1], [0, 0], learning_rate=0.02))[0]
    np.testing.assert_allclose(undecayed, end(keras.optimizers.Adam(0.02))[0], rtol=1e-6)


def test_a_word_that_is_used_often_has_one_gradient():
    """Adam squares the sum of its uses' gradients; Keras under TensorFlow squares each and adds up."""
    keras.utils.set_random_seed(0)
    words = keras.Sequential([keras.Input((4,), dtype="int32"), keras.layers.Embedding(3, 2), keras.layers.Flatten()])
    words.compile(methods.AdamW([1], [0], learning_rate=0.1), "mse", jit_compile=pretrained.jit_compile())
    start = weights_of(words)[0]
    words.train_on_batch(np.array([[0, 0, 0, 2]], "int32"), np.full((1, 8), 9, "float32"))
    gradient = np.zeros((3, 2))
    for row in (0, 0, 0, 2):
        gradient[row] += 2 / 8 * (start[row] - 9)
    velocity = keras.ops.convert_to_numpy(words.optimizer._velocities[0])
    np.testing.assert_allclose(velocity, 0.001 * gradient**2, rtol=1e-4)
    np.testing.assert_allclose(weights_of(words)[0] - start, [[0.1, 0.1], [0, 0], [0.1, 0.1]], rtol=1e-4)


def test_many_steps_are_those_of_keras():
    gradients = np.random.default_rng(0).normal(size=(50, 6)).astype("float32")
    ends = []
    for optimizer in (methods.AdamW([1], [0.3], learning_rate=0.02), keras.optimizers.AdamW(0.02, weight_decay=0.3)):
        variable = keras.Variable(np.ones(6, "float32"), name="kernel")
        optimizer.build([variable])
        for gradient in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        ends.append(keras.ops.convert_to_numpy(variable.value))
    np.testing.assert_allclose(*ends, rtol=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow traces")
def test_one_tracing_serves_all_widths_and_computes_what_keras_does(tiny, monkeypatch, no_dropout):
    calls = []
    step = keras.Model.train_step
    monkeypatch.setattr(keras.Model, "train_step", lambda self, data: calls.append(1) or step(self, data))
    settings = {"encoder": tiny, "epochs": 2, "batch_size": 2, "max_tokens": 32, "pad_to": 2}
    texts = [*TEXTS[:6], "a joy " * 8, "dull " * 12]
    once = fine_tune(texts, LABELS, **settings)
    assert len(calls) == 1
    monkeypatch.setattr(on_tensorflow, "trace_once", lambda model, any_size: None)
    twice = fine_tune(texts, LABELS, **settings)
    assert len(calls) == 3
    np.testing.assert_allclose(once.predict(texts), twice.predict(texts), atol=1e-5)
    np.testing.assert_allclose(once.history["train_loss"], twice.history["train_loss"], atol=1e-5)


# ---- settings


def test_widths_are_multiples_of_pad_to(small, monkeypatch):
    widths, step = set(), keras.Model.train_on_batch

    def seen(self, x, *given, **more):
        widths.add(x["token_ids"].shape[1])
        return step(self, x, *given, **more)

    monkeypatch.setattr(keras.Model, "train_on_batch", seen)
    texts = ["dull", "a joy", "a joy to watch", "dull cold film " * 3]  # 3, 4, 6 and 11 pieces
    fine_tune(texts, LABELS[2:6], epochs=1, batch_size=1, pad_to=4)
    assert widths == {4, 8, 12}
    widths.clear()
    fine_tune(texts, LABELS[2:6], epochs=1, batch_size=1)
    assert widths == {16}
    with pytest.raises(ValueError, match="^pad_to is 3: give 1, 2, 4, 8 or 16$"):
        fine_tune(texts, LABELS[2:6], pad_to=3)


@pytest.fixture
def no_dropout(monkeypatch):
    monkeypatch.setattr(keras.layers.Dropout, "call", lambda self, inputs, training=False: inputs)


@pytest.mark.parametrize("class_weight", ["balanced", {"bad": 1.5, "good": 0.25}])
def test_class_weights_weigh_the_loss(small, no_dropout, class_weight):
    texts, labels = TEXTS[:6], LABELS[:6]  # four good, two bad
    result = fine_tune(
        texts, labels, method="head", epochs=1, batch_size=4, learning_rate=1e-9, class_weight=class_weight
    )
    expected = log_loss(labels, result.predict(texts), sample_weight=compute_sample_weight(class_weight, labels))
    assert result.history["train_loss"][0] == pytest.approx(expected, rel=1e-5)


def test_label_smoothing_by_hand(small, no_dropout):
    result = fine_tune(TEXTS, LABELS, method="head", epochs=1, learning_rate=1e-9, label_smoothing=0.2)
    share = np.where(np.array(LABELS)[:, None] == ["bad", "good"], 0.9, 0.1)  # 0.2 spread over two classes
    expected = -(share * np.log(result.predict(TEXTS))).sum(axis=1).mean()
    assert result.history["train_loss"][0] == pytest.approx(expected, rel=1e-5)
    assert result.history["train_accuracy"][0] == (result.predict(TEXTS).argmax(axis=1) == share.argmax(axis=1)).mean()


def test_a_clipped_gradient_is_no_longer_than_asked(small, no_dropout):
    """Adam divides by the gradient's size plus 1e-7: a gradient far below that moves next to nothing."""
    settings = {"method": "head", "epochs": 1, "learning_rate": 0.1, "weight_decay": 0.0, "warmup": 0}
    clipped = weights_of(fine_tune(TEXTS, LABELS, clip_norm=1e-12, **settings).model)
    free = weights_of(fine_tune(TEXTS, LABELS, clip_norm=1e9, **settings).model)
    assert np.abs(clipped[1]).max() < 1e-5 < 0.05 < np.abs(free[1]).max()  # the bias starts at 0


def test_patience_stops_after_so_many_epochs_without_a_better_one(small, monkeypatch):
    losses = iter([0.7, 0.5, 0.6, 0.5, 0.1])
    monkeypatch.setattr(training, "evaluate", lambda *_: (next(losses), 0.5))
    result = fine_tune(TEXTS, LABELS, valid=(TEXTS, LABELS), method="head", epochs=9, patience=2)
    assert result.history["valid_loss"].tolist() == [0.7, 0.5, 0.6, 0.5]


def test_precision_holds_for_the_call_alone(small):
    before = keras.config.dtype_policy().name
    result = fine_tune(TEXTS, LABELS, epochs=1, precision="mixed_bfloat16")
    assert {layer.compute_dtype for layer in result.model.layers if "layer_norm" in layer.name} == {"bfloat16"}
    assert {variable.dtype for variable in result.model.trainable_variables} == {"float32"}
    with pytest.raises(FloatingPointError):
        fine_tune(TEXTS, LABELS, method="head", precision="mixed_bfloat16", learning_rate=1e38, warmup=0)
    assert keras.config.dtype_policy().name == before


def test_float16_scales_its_loss_and_learns(tiny):
    result = fine_tune(
        TEXTS, LABELS, encoder=tiny, epochs=8, max_tokens=16, learning_rate=0.01, precision="mixed_float16"
    )
    assert type(result.model.optimizer).__name__ == "LossScaleOptimizer"
    assert {variable.dtype for variable in result.model.trainable_variables} == {"float32"}
    assert result.history["train_loss"].iloc[-1] < result.history["train_loss"].iloc[0] < 2


@pytest.mark.parametrize(
    ("progress", "notebook", "shown"), [(None, "", False), (None, "x.ipynb", True), (True, "", True)]
)
def test_a_bar_in_jupyterlab_or_on_demand(small, monkeypatch, capsys, progress, notebook, shown):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    if notebook:
        monkeypatch.setenv("JPY_SESSION_NAME", notebook)
    fine_tune(TEXTS, LABELS, method="head", epochs=2, progress=progress)
    out, err = capsys.readouterr()
    assert out == "" and (("loss=" in err and "2/2" in err) if shown else err == "")


# ---- backends


def test_first_losses_are_the_same_on_every_backend(film, monkeypatch, no_dropout):
    """The figures are TensorFlow's on a CPU; the head starts from NumPy's numbers, since each backend draws its own."""
    start = default_rng(0).normal(scale=0.02, size=(384, 2))
    built = methods.classifier

    def classifier(*given, **settings):
        model = built(*given, **settings)
        model.get_layer("head").layers[-1].kernel.assign(start)
        return model

    monkeypatch.setattr(methods, "classifier", classifier)
    losses = []
    step = training._step
    monkeypatch.setattr(training, "_step", lambda *given: losses.append((scores := step(*given))[0][0]) or scores)
    fine_tune(film["text"][:16], film["label"][:16], epochs=2, batch_size=8, max_tokens=16, learning_rate=2e-4)
    assert losses == pytest.approx([FIRST, *LATER], abs=1e-4)


FIRST, LATER = 0.628165, [0.775796, 0.179487, 0.135776]


DEVICES = """
import sys
import jax, keras, numpy as np
from helpers.finetuning import fine_tune, training

def run(**settings):
    losses, step = [], training._step
    training._step = lambda *given: losses.append((scores := step(*given))[0][0]) or scores
    result = fine_tune({texts}, {labels}, encoder=sys.argv[1], epochs=2, batch_size=5, max_tokens=16, **settings)
    training._step = step
    return losses, result

keras.layers.Dropout.call = lambda self, inputs, training=False: inputs
alone, one = run()
keras.distribution.set_distribution(keras.distribution.DataParallel())
together, many = run()
assert len(many.model.trainable_variables[0].value.sharding.device_set) == 4 == jax.device_count()
assert len(alone) == 4  # 8 texts = 5 + 3: neither divides by four devices
np.testing.assert_allclose(together, alone, atol=1e-4)
np.testing.assert_allclose(many.predict({texts}[:3]), one.predict({texts}[:3]), atol=1e-4)
"""


def test_four_devices_train_as_one(tiny):
    pytest.importorskip("jax", reason="JAX is not installed: make test-backends installs it")
    environment = os.environ | {
        "KERAS_BACKEND": "jax",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    code = DEVICES.format(texts=TEXTS, labels=LABELS)
    run = subprocess.run([sys.executable, "-c", code, tiny], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_several_devices_are_not_promised_where_keras_would_use_one(tiny, monkeypatch):
    mesh = keras.distribution.DeviceMesh((4,), ["batch"], [f"cpu:{i}" for i in range(4)])
    distribution = keras.distribution.DataParallel(mesh)
    monkeypatch.setattr(keras.distribution, "distribution", lambda: distribution)
    if keras.backend.backend() == "jax":
        assert [pretrained.shared_out(size) for size in (1, 4, 5)] == [4, 4, 8]
        return
    with pytest.raises(ValueError, match=r"^keras.distribution names 4 devices, of which .*: set KERAS_BACKEND=jax$"):
        fine_tune(TEXTS, LABELS, encoder=tiny, max_tokens=16)


# ---- memory


def test_a_model_that_is_no_longer_used_gives_its_memory_back(small):
    """A run holds its word vectors, 47 million bytes, three times: once more in each moment of Adam."""
    process, sizes = psutil.Process(), []
    gc.disable()  # Python would look by itself sooner or later: rather later, with objects as few and as large
    try:
        for _ in range(4):
            fine_tune(TEXTS, LABELS, epochs=1)
            sizes.append(process.memory_info().rss)
    finally:
        gc.enable()
    assert sizes[-1] - sizes[0] < 100e6


# ---- faults


def test_a_loss_that_is_no_number_names_the_batch(small):
    with pytest.raises(
        FloatingPointError, match=r"the loss is \w+ at batch [2-4] of epoch 1, which holds texts [0-7], [0-7]: try a"
    ):
        fine_tune(TEXTS, LABELS, batch_size=2, learning_rate=1e38, warmup=0)
    with pytest.raises(
        FloatingPointError, match="scores are no longer finite after batch 1 of epoch 1, which holds texts [0-7], "
    ):
        fine_tune(TEXTS, LABELS, method="head", epochs=1, learning_rate=1e38, warmup=0)


def test_layer_rates_of_the_head_alone(small):
    """There is no layer below it."""
    one, other = (fine_tune(TEXTS, LABELS, method="head", epochs=1, layer_decay=d).predict(TEXTS) for d in (1, 0.5))
    np.testing.assert_array_equal(one, other)


def test_lora_needs_a_layer_to_add_to(tmp_path):
    import keras_hub

    body = keras_hub.models.GPTNeoXBackbone(
        vocabulary_size=30, num_layers=1, num_heads=2, hidden_dim=16, intermediate_dim=32, max_sequence_length=32
    )
    body.save_to_preset(str(tmp_path))
    with pytest.raises(ValueError, match="^method is 'lora', but .* has no layer of queries and values for it: take"):
        methods.classifier(str(tmp_path), "lora", 2)


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
        (
            ["a", "b"],
            [0, 1],
            {"method": "some"},
            "^method is 'some': take one of 'full', 'last', 'lora', 'head', 'scratch'$",
        ),
        (
            ["a", "b"],
            [0, 1],
            {"encoder": "bert"},
            "^encoder is 'bert': take one of 'minilm', 'use', or a KerasHub preset",
        ),
        (["a", "b"], [0, 1], {"pooling": "cls"}, "^pooling is 'cls': 'minilm' takes 'mean'$"),
        (["a", "b"], [0, 1], {"epochs": 0}, "^epochs is 0: give a whole number from 1$"),
        (["a", "b"], [0, 1], {"batch_size": 1.5}, "^batch_size is 1.5: give a whole number from 1$"),
        (["a", "b"], [0, 1], {"learning_rate": 0}, "^learning_rate is 0: give a number above 0$"),
        (["a", "b"], [0, 1], {"warmup": 2}, "^warmup is 2: give a share from 0 to 1$"),
        (["a", "b"], [0, 1], {"weight_decay": -1}, "^weight_decay is -1: give a number from 0$"),
        (["a", "b"], [0, 1], {"layers": 0}, "^layers is 0: give a whole number from 1$"),
        (["a", "b"], [0, 1], {"rank": 0.5}, "^rank is 0.5: give a whole number from 1$"),
        (["a", "b"], [0, 1], {"layer_decay": 0}, "^layer_decay is 0: give a factor above 0, up to 1$"),
        (["a", "b"], [0, 1], {"clip_norm": 0}, "^clip_norm is 0: give None or a number above 0$"),
        (["a", "b"], [0, 1], {"label_smoothing": 1}, "^label_smoothing is 1: give a share from 0 to below 1$"),
        (["a", "b"], [0, 1], {"precision": "half"}, "^precision is 'half': give one of None, 'float32', 'mixed_bf"),
        (["a", "b"], [0, 1], {"patience": 2}, "^patience needs valid: give texts and labels to tell by when to stop$"),
        (["a", "b"], [0, 1], {"class_weight": {0: 1}}, r"^class_weight is {0: 1}: give 'balanced' or a .* \[0, 1\]$"),
        (["a", "b"], [0, 1], {"class_weight": {0: 1, 1: -1}}, "^class_weight is {0: 1, 1: -1}: give 'balanced' or"),
        (["a", "b"], [0, 1], {"class_weight": {0: 1, 1: "2"}}, "^class_weight is {0: 1, 1: '2'}: give 'balanced' or"),
        (["a", "b"], [0, 1], {"epochs": 2.0}, r"^epochs is 2\.0: give a whole number from 1$"),
        (["a", "b"], [0, 1], {"learning_rate": "1e-4"}, "^learning_rate is '1e-4': give a number above 0$"),
        (["a", "b"], [0, 1], {"learning_rate": float("inf")}, "^learning_rate is inf: give a number above 0$"),
        (["a", "b"], [0, 1], {"seed": -1}, "^seed is -1: give a whole number from 0"),
        (["a", "b"], [0, 1], {"restore_best": "no"}, "^restore_best is 'no': give True or False$"),
        (["a", "b"], [0, 1], {"valid": (["a", None], [0, 1])}, r"^valid texts\[1\] is None, not a string"),
        (["a", "b"], [0, 1], {"valid": ["a", "b", "c"]}, r"^valid is a list: give a pair, \(texts, labels\)$"),
        (["a", "b"], None, {}, "^labels is None: give a list, one label per text$"),
        (["a", "b"], [0, 1], {"max_tokens": None}, "^max_tokens is None: give a whole number$"),
        (["a", "b"], [0, 1], {"max_tokens": 600}, "^max_tokens is 600: 'minilm' takes 3 to 512$"),
    ],
)
def test_bad_input_gets_one_clear_sentence(texts, labels, settings, message):
    with pytest.raises(ValueError, match=message):
        fine_tune(texts, labels, **settings)


@pytest.mark.equation("8.1")
def test_lora_by_hand_and_by_keras():
    """A product of two thin matrices beside a frozen one: h = (W + α/r · BA) x."""
    W, A, B = np.array([[1.0, 2, 0], [0, 1, 1]]), np.array([[2.0, 0, 4], [0, 1, 0]]), np.array([[1.0, 0], [0, 2]])
    x, rank, alpha = np.array([1.0, 1, 1]), 2, 1
    by_hand = [6, 3]  # BA is [[2, 0, 4], [0, 2, 0]]; half of it added to W makes [[2, 2, 2], [0, 2, 1]]
    np.testing.assert_allclose((W + alpha / rank * B @ A) @ x, by_hand)
    layer = keras.layers.Dense(2, use_bias=False)
    layer.build((None, 3))
    layer.kernel.assign(W.T)
    layer.enable_lora(rank, lora_alpha=alpha)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x[None]))[0], W @ x)  # Keras starts with B = 0
    layer.lora_kernel_a.assign(A.T)
    layer.lora_kernel_b.assign(B.T)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x[None]))[0], by_hand)
    assert methods.trained(keras.Sequential([layer])) == rank * (2 + 3)


@pytest.mark.parametrize(
    ("flags", "held", "policy"),
    [
        ("flags : fpu sse2 avx2 avx512f avx512_bf16", "", "mixed_bfloat16"),
        ("flags : fpu amx_bf16", "ALL", "mixed_bfloat16"),
        ("Features : fp asimd bf16 i8mm", "", "mixed_bfloat16"),
        ("flags : fpu sse2 avx2 avx512f avx512_vnni", "", "float32"),
        ("flags : fpu avx512_bf16", "AVX2", "float32"),  # the library that multiplies is held to an older processor
        ("flags : notbf16", "", "float32"),
        (None, "", "float32"),
    ],
)
def test_16_bits_where_the_processor_has_them(flags, held, policy, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.distribution, "list_devices", lambda kind: [])
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", held)
    if flags:
        (tmp_path / "cpuinfo").write_text(f"processor : 0\n{flags}\n")
    assert sixteen_bits(tmp_path / "cpuinfo") == policy
    monkeypatch.setattr(keras.distribution, "list_devices", lambda kind: ["gpu:0"])
    assert sixteen_bits(tmp_path / "cpuinfo") == "mixed_bfloat16"
