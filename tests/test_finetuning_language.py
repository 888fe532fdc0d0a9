"""Fine-tuning of language models on a tiny one: all methods, what they leave on the disk, and their faults."""

import errno
import json

import keras
import keras_hub
import numpy as np
import pytest
from safetensors.numpy import load_file

from helpers import language_models
from helpers.finetuning import language, lora, training
from helpers.language_models import LanguageModel, Rendered, tokenisers
from helpers.language_models.chat import Span

END, USER, ASSISTANT, FIRST, SIZE = 2, 3, 4, 5, 40
METHODS = [
    {"method": "full"},
    {"method": "last", "layers": 1},
    {"method": "lora"},
    {"method": "lora", "layers": 1},
    {"method": "lora", "targets": "attention"},
]


def tiny_llama(size, seed=0):
    """A Llama of two blocks that knows nothing."""
    keras.utils.set_random_seed(seed)
    return keras_hub.models.Llama3Backbone(
        vocabulary_size=size,
        num_layers=2,
        num_query_heads=4,
        num_key_value_heads=2,
        hidden_dim=32,
        intermediate_dim=64,
        tie_word_embeddings=True,
        name="tiny",
    )


def tiny(seed=0):
    """A language model of it; chat and tokeniser are not needed here."""
    backbone = tiny_llama(SIZE, seed)
    # weights of a size at which frozen blocks pass on what they read
    for variable in backbone.trainable_variables:
        if "scale" not in variable.path:
            variable.assign(keras.random.normal(variable.shape, stddev=0.2, seed=seed))
    return LanguageModel("tiny", keras_hub.models.Llama3CausalLM(backbone), None, None, 64, (END,), {})


def echoes(n, seed):
    """Conversations in which the answer is one of two words, by whether the question holds the word FIRST."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        question = rng.integers(FIRST + 3, SIZE, rng.integers(2, 7)).tolist()
        yes = rng.random() < 0.5
        question = [FIRST, *question] if yes else question
        ids = [USER, *question, END, ASSISTANT, FIRST + 1 if yes else FIRST + 2, END]
        mask = np.zeros(len(ids), "float32")
        mask[-2:] = 1
        spans = [Span("user", 1, len(ids) - 4, None), Span("assistant", len(ids) - 2, len(ids) - 1, len(ids) - 1)]
        rows.append(Rendered(ids, mask, spans, len(ids) - 3, "", [str(i) for i in ids]))
    return rows


def whole_loss(model, rows):
    """Nats a token, end tokens too, by the whole model."""
    frame = language_models.losses(model, rows)
    return (frame["nats"].sum() + frame["end_nats"].sum()) / (frame["tokens"].sum() + frame["ends"].sum())


def weights(model):
    return [np.array(keras.ops.convert_to_numpy(variable.value)) for variable in model.backbone.weights]


@pytest.mark.parametrize(
    ("settings", "seed"), [*((settings, 0) for settings in METHODS), (METHODS[2], 1), (METHODS[2], 2)], ids=str
)
def test_each_method_learns_what_it_sees_from_any_start(settings, seed):
    model, held_out = tiny(seed), echoes(40, 1)
    before = whole_loss(model, held_out)
    rows = echoes(64, 0)
    tuned = language.tune(model, rows, valid=held_out, epochs=8, learning_rate=0.02, seed=seed, **settings)
    assert whole_loss(model, held_out) < before / 2
    assert tuned.history["valid_loss"].min() == pytest.approx(whole_loss(model, held_out), abs=1e-4)


@pytest.mark.parametrize("settings", METHODS[:3], ids=str)
def test_the_same_seed_the_same_digits_another_seed_others_and_undo_takes_it_back(settings):
    model, rows = tiny(), echoes(32, 0)
    start = weights(model)
    losses = []
    for seed in (0, 0, 1):
        tuned = language.tune(model, rows, epochs=2, learning_rate=0.01, seed=seed, **settings)
        losses.append(tuned.history["train_loss"].tolist())
        tuned.undo()
        assert all(np.array_equal(a, b) for a, b in zip(start, weights(model), strict=True))
    assert losses[0] == losses[1] != losses[2]
    assert whole_loss(model, rows) == whole_loss(tiny(), rows)


def test_what_is_trained_is_what_the_method_says():
    model, rows = tiny(), echoes(16, 0)
    block = 32 * 32 * 2 + 32 * 16 * 2 + 3 * 32 * 64 + 2 * 32
    assert language.tune(model, rows, epochs=1, method="full").trained == 2 * block + 32 + SIZE * 32
    model = tiny()
    start = weights(model)
    assert language.tune(model, rows, epochs=1, method="last", layers=1).trained == block + 32
    changed = [v.path for v, a, b in zip(model.backbone.weights, start, weights(model), strict=True) if (a != b).any()]
    assert changed and all("transformer_layer_1" in path or "sequence_output" in path for path in changed)
    tuned = language.tune(tiny(), rows, epochs=1, method="lora", rank=3, targets="attention")
    assert tuned.trained == 2 * 3 * (32 + 32 + 32 + 16)
    tuned = language.tune(tiny(), rows, epochs=1, method="lora", rank=3)
    assert tuned.trained == 2 * 3 * (64 + 48 + 48 + 64 + 3 * 96)


def test_an_adapter_is_nothing_at_first_and_then_x_plus_ab():
    model, rows = tiny(), echoes(16, 0)
    before = whole_loss(model, rows)
    adapter = lora.Adapter(model, rank=2, alpha=3)
    assert whole_loss(model, rows) == before
    name = "transformer_layer_1.attention_output"
    layer, a, b = adapter.matrices[name]
    b.assign(np.random.default_rng(0).normal(size=b.shape))
    x = np.random.default_rng(1).normal(size=(2, 3, 4, 8)).astype("float32")
    by_hand = np.einsum("bquh,uhm->bqm", x, np.array(layer.kernel)) + 3 / 2 * x.reshape(2, 3, 32) @ np.array(
        a
    ) @ np.array(b)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(x)), by_hand, atol=1e-5)
    assert abs(whole_loss(model, rows) - before) > 1e-3
    with pytest.raises(ValueError, match="^the model has an adapter already: detach or merge it first$"):
        lora.Adapter(model)
    adapter.detach()
    assert whole_loss(model, rows) == before


def test_a_matrix_starts_within_one_over_the_root_of_its_inputs():
    model = tiny()
    adapter = lora.Adapter(model, rank=8)
    for layer, a, b in adapter.matrices.values():
        values = np.array(keras.ops.convert_to_numpy(a.value))
        bound = 1 / np.sqrt(a.shape[0])
        assert 0.8 * bound < np.abs(values).max() <= bound and not np.array(keras.ops.convert_to_numpy(b.value)).any()
        assert np.prod(layer.kernel.shape) == a.shape[0] * b.shape[1]
    adapter.detach()


@pytest.mark.parametrize("settings", METHODS, ids=str)
def test_what_is_saved_alone_loads_onto_the_base(settings, tmp_path):
    model, rows = tiny(), echoes(32, 0)
    tuned = language.tune(model, rows, epochs=2, learning_rate=0.01, **settings)
    tuned.save(tmp_path / "saved")
    after, base = whole_loss(model, rows), tiny()
    adapter = language.restore(base, tmp_path / "saved")
    assert whole_loss(base, rows) == pytest.approx(after, abs=1e-6)
    assert (adapter is None) == (settings["method"] != "lora")
    stored = sum(
        value.size for path in (tmp_path / "saved").glob("*.safetensors") for value in load_file(path).values()
    )
    assert stored == tuned.trained
    if adapter:
        adapter.merge()
        assert whole_loss(base, rows) == pytest.approx(after, abs=1e-5)


def test_the_files_are_those_of_peft(tmp_path):
    tuned = language.tune(tiny(), echoes(16, 0), epochs=1, layers=1, rank=4, targets="attention")
    tuned.save(tmp_path / "adapter")
    names = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    place = "base_model.model.model.layers.1.self_attn.v_proj"
    assert names[f"{place}.lora_A.weight"].shape == (4, 32) and names[f"{place}.lora_B.weight"].shape == (16, 4)
    assert len(names) == 2 * 2
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["target_modules"]) == (4, 8, ["q_proj", "v_proj"])
    assert config["layers_to_transform"] == [1]


def test_peft_and_transformers_give_the_same_logits(tmp_path):
    peft, transformers, torch = (pytest.importorskip(name) for name in ("peft", "transformers", "torch"))
    model = language_models.load("smollm2")
    language.export(model, tmp_path / "base")
    talk = [{"role": "user", "content": "List the files."}, {"role": "assistant", "content": "ls"}]
    row = language_models.render(model, talk)
    tuned = language.tune(model, [row] * 4, epochs=2, learning_rate=1e-3, rank=4)
    tuned.save(tmp_path / "adapter")
    ours = keras.ops.convert_to_numpy(
        model.lm({"token_ids": np.array([row.ids]), "padding_mask": np.ones((1, len(row.ids)))})
    )
    tuned.adapter.merge()
    language.export(model, tmp_path / "merged")

    def logits(network):
        with torch.no_grad():
            return network(torch.tensor([row.ids])).logits.numpy()

    def read(folder):
        return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    np.testing.assert_allclose(logits(read(tmp_path / "merged")), ours, atol=1e-3)
    adapted = peft.PeftModel.from_pretrained(read(tmp_path / "base"), tmp_path / "adapter")
    np.testing.assert_allclose(logits(adapted), ours, atol=1e-3)
    assert np.abs(logits(read(tmp_path / "base")) - ours).max() > 0.1
    tokeniser = transformers.AutoTokenizer.from_pretrained(tmp_path / "merged")
    theirs = tokeniser.apply_chat_template([{"role": "system", "content": "Be brief."}, *talk], return_dict=False)
    assert theirs == language_models.render(model, [{"role": "system", "content": "Be brief."}, *talk]).ids


def test_undo_and_save_after_each_other(tmp_path):
    model = tiny()
    tuned = language.tune(model, echoes(8, 0), epochs=1)
    tuned.undo()
    tuned.undo()
    with pytest.raises(ValueError, match="^the training was undone: there is nothing to save$"):
        tuned.save(tmp_path / "adapter")
    merged = language.tune(model, echoes(8, 0), epochs=1)
    with pytest.raises(ValueError, match="^the model has an adapter: merge it or detach it first, and then export$"):
        language.export(model._replace(tokeniser=tokenisers.Tokeniser(None, None, {}, None, 2)), tmp_path / "model")
    merged.adapter.merge()
    with pytest.raises(ValueError, match="which undo cannot take back: load the model anew$"):
        merged.undo()


def test_what_is_not_plain_lora_is_not_read(tmp_path):
    language.tune(tiny(), echoes(8, 0), epochs=1).save(tmp_path / "adapter")
    file = tmp_path / "adapter" / "adapter_config.json"
    settings = json.loads(file.read_text())
    for change in ({"use_rslora": True}, {"use_dora": True}, {"rank_pattern": {"q_proj": 2}}, {"peft_type": "IA3"}):
        file.write_text(json.dumps(settings | change))
        model = tiny()
        with pytest.raises(ValueError, match="is no plain LoRA .*: only that can be read$"):
            language.restore(model, tmp_path / "adapter")
        assert not lora.is_attached(model)


def test_a_generation_that_was_compiled_by_others_is_compiled_again():
    model = tiny()
    prompts = [echoes(1, 0)[0].ids[:-2]]
    greedy = language_models.generate(model, prompts, longest=6)
    model.lm.compile(sampler="random")
    assert language_models.generate(model, prompts, longest=6) == greedy
    with pytest.raises(ValueError, match="^temperature is -1, top_p 1.0, longest 6: give a number from 0"):
        language_models.generate(model, prompts, longest=6, temperature=-1)
    with pytest.raises(ValueError, match=r"^prompts\[0\] has 60 tokens: with 6 new ones tiny reads 1 to 58$"):
        language_models.generate(model, [[5] * 60], longest=6)


def test_the_padding_of_new_text_ends_nothing():
    model = tiny()._replace(ends=(0,))
    texts = language_models.generate(model, [[5, 6], [7, 8, 9]], longest=4)
    assert all(len(text) > 0 for text in texts)


# ---- faults ---------------------------------------------------------------------------------------------------------


def empty_row():
    row = echoes(1, 0)[0]
    return row._replace(mask=np.zeros_like(row.mask))


@pytest.mark.parametrize(
    ("rows", "settings", "said"),
    [
        ([], {}, "^rows is empty or holds something else: give conversations as language_models.render makes them$"),
        ([*echoes(2, 0), empty_row()], {}, r"^rows\[2\] has no token to train on: leave it out, see"),
        (echoes(2, 0), {"valid": [empty_row()]}, r"^valid\[0\] has no token to train on"),
        ([echoes(1, 0)[0]._replace(ids=[1] * 65)], {}, r"^rows\[0\] has 65 tokens and tiny reads 64: see"),
        (echoes(2, 0), {"method": "lore"}, "^method is 'lore': take one of 'full', 'last', 'lora'$"),
        (echoes(2, 0), {"layers": 5}, "^layers is 5: tiny has 1 to 2$"),
        (echoes(2, 0), {"layers": 0}, "^layers is 0: give a whole number from 1$"),
        (echoes(2, 0), {"rank": 0}, "^rank is 0: give a whole number from 1$"),
        (echoes(2, 0), {"alpha": -1}, "^alpha is -1: give None or a number above 0$"),
        (echoes(2, 0), {"targets": "mlp"}, "^targets is 'mlp': take 'attention' or 'linear', or a list of layers$"),
        (echoes(2, 0), {"learning_rate": "1e-4"}, "^learning_rate is '1e-4': give a number above 0$"),
        (echoes(2, 0), {"patience": 1}, "^patience needs valid"),
    ],
)
def test_what_cannot_be_trained_with_is_said_in_one_sentence(rows, settings, said):
    model = tiny()
    with pytest.raises(ValueError, match=said):
        language.tune(model, rows, **settings)
    language.tune(model, echoes(4, 0), epochs=1).undo()  # nothing is left attached


def test_a_loss_that_is_no_number_stops_and_leaves_the_model_as_it_came():
    model = tiny()
    start = weights(model)
    with pytest.raises(FloatingPointError, match="try a learning_rate ten times smaller"):
        language.tune(model, echoes(32, 0), epochs=3, method="full", learning_rate=1e30, clip_norm=None)
    assert all(np.array_equal(a, b) for a, b in zip(start, weights(model), strict=True))


def test_a_killed_run_ends_as_one_that_was_not(tmp_path, monkeypatch):
    rows, settings = echoes(32, 0), {"epochs": 3, "learning_rate": 0.01, "seed": 0}
    whole = language.tune(tiny(), rows, **settings).history["train_loss"].tolist()
    step = training._step

    def killed(model, *rest):
        if model.optimizer.iterations.numpy() == 7:
            raise KeyboardInterrupt
        return step(model, *rest)

    monkeypatch.setattr(training, "_step", killed)
    monkeypatch.setattr(training, "SAVE_EVERY", 0)
    model = tiny()
    with pytest.raises(KeyboardInterrupt):
        language.tune(model, rows, checkpoint=tmp_path, **settings)
    monkeypatch.setattr(training, "_step", step)
    again = language.tune(model, rows, checkpoint=tmp_path, **settings)
    assert again.history["train_loss"].tolist() == whole
    with pytest.raises(ValueError, match="is of another run, with other rows: give another folder or delete it$"):
        language.tune(tiny(), echoes(32, 1), checkpoint=tmp_path, **settings)


def test_memory_that_runs_out_cuts_the_batch_and_not_the_result(monkeypatch):
    rows, settings = echoes(32, 0), {"epochs": 1, "learning_rate": 0.01, "valid": echoes(8, 1)}
    whole = language.tune(tiny(), rows, **settings)
    step = training._step

    def short(model, data, chosen, batch_size, parts):
        if parts < 2:
            raise MemoryError("out of memory")
        return step(model, data, chosen, batch_size, parts)

    monkeypatch.setattr(training, "_step", short)
    with pytest.warns(UserWarning, match="^out of memory: training starts again"):
        parts = language.tune(tiny(), rows, **settings)
    for column in ("train_loss", "valid_loss"):
        assert parts.history[column].tolist() == pytest.approx(whole.history[column].tolist(), abs=1e-4)


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    tuned = language.tune(tiny(), echoes(8, 0), epochs=1)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    with pytest.raises(OSError, match="adapter was not written .No space left on device.: nothing of it is left$"):
        tuned.save(tmp_path / "adapter")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    tuned.save(tmp_path / "adapter")
    with pytest.raises(FileExistsError, match="adapter exists already: give a new folder, or delete it$"):
        tuned.save(tmp_path / "adapter")


def test_what_does_not_fit_is_not_restored(tmp_path):
    with pytest.raises(ValueError, match="has no adapter_config.json and no weights.safetensors"):
        language.restore(tiny(), tmp_path)
    language.tune(tiny(), echoes(8, 0), epochs=1).save(tmp_path / "adapter")
    keras.utils.set_random_seed(0)
    other = keras_hub.models.Llama3Backbone(
        vocabulary_size=SIZE, num_layers=1, num_query_heads=2, num_key_value_heads=2, hidden_dim=16, intermediate_dim=16
    )
    other = LanguageModel("other", keras_hub.models.Llama3CausalLM(other), None, None, 64, (END,), {})
    with pytest.raises(ValueError, match="is of another model: other has no layer base_model"):
        language.restore(other, tmp_path / "adapter")
