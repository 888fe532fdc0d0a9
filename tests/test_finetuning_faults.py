"""fine_tune when it is killed, when the disk is full, when memory runs out, and when a checkpoint is not its own."""

import builtins
import errno
import os
import signal
import subprocess
import sys
import time
import warnings

import keras
import numpy as np
import pytest
from test_finetuning import LABELS, TEXTS, save_tiny_bert

from helpers import pretrained
from helpers.finetuning import checkpoints, fine_tune, training

SETTINGS = {"epochs": 3, "batch_size": 2, "learning_rate": 0.01, "max_tokens": 16, "seed": 4}
VALID = (["a joy", "cold, dull", "warm"], ["good", "bad", "good"])


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny_bert(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def always(monkeypatch):
    """A checkpoint after every step."""
    monkeypatch.setattr(training, "SAVE_EVERY", -1)


class Killed(BaseException):
    """Ends the run where it stands, as a kill would: nothing catches it."""


def head(tiny, **settings):
    """The quickest run that has everything a checkpoint holds: dropout, Adam's moments, a best epoch."""
    return fine_tune(TEXTS, LABELS, valid=VALID, encoder=tiny, **{"method": "head", **SETTINGS, **settings})


def same(result, expected):
    """Equal to the last digit; on PyTorch up to rounding, since its compiler gives later runs other code."""
    apart = 1e-6 if keras.backend.backend() == "torch" else 0
    np.testing.assert_allclose(result.predict(TEXTS), expected.predict(TEXTS), rtol=0, atol=apart)
    history, other = (r.history.drop(columns="seconds") for r in (result, expected))
    np.testing.assert_allclose(history, other, rtol=0, atol=apart)


# ---- killed


RUN = """
import sys
from helpers.finetuning import fine_tune, training
training.SAVE_EVERY = -1
step = training._step
def slow(*given):
    import time
    time.sleep(0.1)
    return step(*given)
training._step = slow
encoder, folder = sys.argv[1:]
fine_tune({texts}, {labels}, valid={valid}, encoder=encoder, checkpoint=folder, **{settings})
"""


def test_a_run_that_is_killed_again_and_again_ends_as_if_it_never_was(tiny, tmp_path):
    code = RUN.format(texts=TEXTS, labels=LABELS, valid=VALID, settings=SETTINGS)
    file = tmp_path / checkpoints.FILE
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for seed in range(2):
        before = file.stat().st_mtime_ns if file.exists() else None
        run = subprocess.Popen([sys.executable, "-c", code, tiny, str(tmp_path)], env=environment)
        while run.poll() is None and (not file.exists() or file.stat().st_mtime_ns == before):
            time.sleep(0.01)
        time.sleep(np.random.default_rng(seed).uniform(0, 0.4))  # the run has 12 steps
        run.send_signal(signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
        state = checkpoints.load(tmp_path, run_of(file))[0]
        assert 0 < state["epoch"] * 4 + state["batch"] < 12
    resumed = fine_tune(TEXTS, LABELS, valid=VALID, encoder=tiny, checkpoint=tmp_path, **SETTINGS)
    same(resumed, fine_tune(TEXTS, LABELS, valid=VALID, encoder=tiny, **SETTINGS))


def run_of(file):
    import json

    with np.load(file) as arrays:
        return json.loads(str(arrays["about"]))["run"]


def fail_at(monkeypatch, event, number, error, until=None):
    """Have an event of a kind ("open", "write", "fsync", "replace") raise: the number-th, or all from it to `until`."""
    seen = {"open": 0, "write": 0, "fsync": 0, "replace": 0}

    def count(kind):
        seen[kind] += 1
        if kind == event and number <= seen[kind] <= (until or number):
            raise error

    class Counting:
        def __init__(self, file):
            self.file = file

        def write(self, content):
            half = bytes(content)[: len(content) // 2]
            try:
                count("write")
            except BaseException:
                self.file.write(half)
                self.file.flush()
                raise
            return self.file.write(content)

        def __getattr__(self, name):
            return getattr(self.file, name)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

    def opened(path, mode="r", *rest, **more):
        if mode != "wb":
            return builtins.open(path, mode, *rest, **more)
        count("open")
        return Counting(builtins.open(path, mode, *rest, **more))

    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(checkpoints, "open", opened, raising=False)
    monkeypatch.setattr(checkpoints.os, "fsync", lambda file: count("fsync") or fsync(file))
    monkeypatch.setattr(checkpoints.os, "replace", lambda *paths: count("replace") or replace(*paths))


@pytest.fixture(scope="module")
def whole(tiny):
    return head(tiny)


# There are 15 checkpoints, of some 100 writes each: these hit the first, one in the middle and the last.
KILLS = [("open", 7), ("write", 3), ("write", 260), ("fsync", 5), ("replace", 1), ("replace", 9), ("replace", 15)]


@pytest.mark.parametrize(("event", "number"), KILLS)
def test_killed_at_any_write(tiny, always, monkeypatch, tmp_path, whole, event, number):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        fail_at(patch, event, number, Killed())
        head(tiny, checkpoint=tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # what is there is never damaged
        same(head(tiny, checkpoint=tmp_path), whole)


def test_every_method_goes_on_where_it_was(tiny, monkeypatch, tmp_path):
    """LoRA, layer-wise rates, class weights, clipping, and a kill in the midst of an epoch."""
    settings = {"method": "lora", "layer_decay": 0.8, "class_weight": "balanced", "clip_norm": 1.0} | SETTINGS
    expected = fine_tune(TEXTS, LABELS, encoder=tiny, **settings)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(training, "SAVE_EVERY", -1)
        fail_at(patch, "replace", 8, Killed())
        fine_tune(TEXTS, LABELS, encoder=tiny, checkpoint=tmp_path, **settings)
    same(fine_tune(TEXTS, LABELS, encoder=tiny, checkpoint=tmp_path, **settings), expected)
    assert (tmp_path / checkpoints.FILE).stat().st_size < 100_000  # what is frozen is not stored


def test_a_finished_run_returns_at_once(tiny, monkeypatch, tmp_path, whole):
    head(tiny, checkpoint=tmp_path)
    monkeypatch.setattr(training, "_step", None)
    same(head(tiny, checkpoint=tmp_path), whole)


# ---- full, damaged, foreign


@pytest.mark.parametrize(("event", "number"), [("open", 2), ("write", 150), ("fsync", 2), ("replace", 2)])
def test_a_full_disk_leaves_the_old_checkpoint(tiny, monkeypatch, tmp_path, whole, event, number):
    full = OSError(errno.ENOSPC, "No space left on device")
    fail_at(monkeypatch, event, number, full, until=number + 3 if event == "write" else None)
    kept = []

    def warn(text, **_):
        with np.load(tmp_path / checkpoints.FILE) as file:
            kept.append((text, len(file.files)))

    monkeypatch.setattr(checkpoints.warnings, "warn", warn)
    same(head(tiny, checkpoint=tmp_path), whole)
    assert kept  # one warning, or two where the disk is still full at the next checkpoint
    for text, files in kept:
        assert text.endswith("(No space left on device): the one before stays") and files > 5
    assert [path.name for path in tmp_path.iterdir()] == [checkpoints.FILE]


def test_no_room_for_the_first_checkpoint(tiny, tmp_path, whole):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="no checkpoint was written to .*: there is none yet"):
        same(head(tiny, checkpoint=tmp_path / "file"), whole)


@pytest.mark.parametrize("damage", ["a flipped bit", "half", "empty"])
def test_a_damaged_checkpoint_is_named_and_not_used(tiny, tmp_path, whole, damage):
    head(tiny, checkpoint=tmp_path, epochs=3)
    file = tmp_path / checkpoints.FILE
    content = bytearray(file.read_bytes())
    content[content.rindex(b"\x93NUMPY") + 130] ^= 1  # the 128 bytes before tell the array's kind and shape
    file.write_bytes({"a flipped bit": content, "half": content[: len(content) // 2], "empty": b""}[damage])
    with pytest.warns(UserWarning, match=r"the checkpoint .*npz is damaged \(.*\): training starts anew"):
        same(head(tiny, checkpoint=tmp_path), whole)


def test_a_flipped_bit_is_noticed_or_changes_nothing(tmp_path):
    run, state = {"seed": "1"}, {"epoch": 3, "scores": [1.5, 2]}
    arrays = [np.arange(12.0).reshape(3, 4), np.arange(5, dtype="int32"), np.array(3, "float32")]
    checkpoints.save(tmp_path, run, state, arrays)
    file, noticed = tmp_path / checkpoints.FILE, 0
    content = file.read_bytes()
    for place, byte in enumerate(content):
        for bit in (1, 2, 128):
            file.write_bytes(content[:place] + bytes([byte ^ bit]) + content[place + 1 :])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                found = checkpoints.load(tmp_path, run)
            if found is None:
                noticed += 1
                continue
            assert found[0] == state, f"bit {bit} of byte {place}"
            for stored, loaded in zip(arrays, found[1], strict=True):
                assert stored.dtype == loaded.dtype, f"bit {bit} of byte {place}"
                np.testing.assert_array_equal(stored, loaded, f"bit {bit} of byte {place}")
    assert noticed > 2 * len(content)


def test_a_checkpoint_of_another_run_is_refused(tiny, tmp_path):
    head(tiny, checkpoint=tmp_path)
    kept = (tmp_path / checkpoints.FILE).read_bytes()
    for other, named in (
        ({"learning_rate": 0.02}, "learning_rate"),
        ({"seed": 5, "rank": 3}, "rank, seed, start weights"),
        ({"method": "full", "epochs": 2}, "epochs, method, start weights"),
    ):
        with pytest.raises(
            ValueError, match=rf"npz is of another run, with other {named}: give another folder or delete"
        ):
            head(tiny, checkpoint=tmp_path, **other)
    with pretrained.dtype_policy("mixed_bfloat16"), pytest.raises(ValueError, match="with other precision: give"):
        head(tiny, checkpoint=tmp_path)  # precision=None both times: Keras's policy is what differs
    with pytest.raises(ValueError, match="of another run, with other texts or labels, valid: give"):
        fine_tune(TEXTS, LABELS[::-1], encoder=tiny, method="head", checkpoint=tmp_path, **SETTINGS)
    assert (tmp_path / checkpoints.FILE).read_bytes() == kept


# ---- memory


@pytest.fixture
def little_memory(monkeypatch):
    """Room for three texts at a time; returns the sizes of the batches that passed."""
    passed = []

    class ResourceExhaustedError(Exception):
        """Named as TensorFlow's."""

    def limited(method):
        def call(self, x, *rest, **more):
            size = len(x if isinstance(x, np.ndarray) else x["token_ids"])
            if size > 3:
                raise ResourceExhaustedError("failed to allocate memory")
            passed.append(size)
            return method(self, x, *rest, **more)

        return call

    monkeypatch.setattr(keras.Model, "train_on_batch", limited(keras.Model.train_on_batch))
    return passed


def test_out_of_memory_halves_the_batch_and_changes_the_result_by_rounding_alone(
    tiny, monkeypatch, tmp_path, request, always
):
    monkeypatch.setattr(keras.layers.Dropout, "call", lambda self, inputs, training=False: inputs)
    settings = SETTINGS | {"batch_size": 5, "class_weight": {"bad": 2, "good": 0.5}, "clip_norm": 0.1}
    settings |= {"method": "full"}  # the embeddings too, whose gradients TensorFlow keeps as the rows that were used
    expected = fine_tune(TEXTS, LABELS, encoder=tiny, **settings)  # 8 = 5 + 3: the second batch is a short one
    passed = request.getfixturevalue("little_memory")
    with pytest.warns(UserWarning, match="^out of memory: training starts again, .* with batches of 3 texts, 2 of"):
        result = fine_tune(TEXTS, LABELS, encoder=tiny, checkpoint=tmp_path, **settings)
    assert set(passed) == {3} and len(passed) == 3 * 2 * 2
    np.testing.assert_allclose(result.predict(TEXTS), expected.predict(TEXTS), atol=1e-4)
    columns = ["train_loss", "train_accuracy"]
    np.testing.assert_allclose(result.history[columns], expected.history[columns], atol=1e-4)

    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # taken up again it starts with the smaller parts
        same(fine_tune(TEXTS, LABELS, encoder=tiny, checkpoint=tmp_path, **settings), result)


def test_a_run_goes_on_in_parts_from_a_checkpoint_of_whole_batches(tiny, monkeypatch, tmp_path, request, always):
    monkeypatch.setattr(keras.layers.Dropout, "call", lambda self, inputs, training=False: inputs)
    settings = SETTINGS | {"batch_size": 4, "method": "head"}
    expected = fine_tune(TEXTS, LABELS, encoder=tiny, **settings)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        fail_at(patch, "replace", 5, Killed())
        fine_tune(TEXTS, LABELS, encoder=tiny, checkpoint=tmp_path, **settings)
    passed = request.getfixturevalue("little_memory")
    with pytest.warns(UserWarning, match="^out of memory"):
        result = fine_tune(TEXTS, LABELS, encoder=tiny, checkpoint=tmp_path, **settings)
    assert 0 < len(passed) < 3 * 2 * 2
    np.testing.assert_allclose(result.predict(TEXTS), expected.predict(TEXTS), atol=1e-4)


def test_memory_that_runs_out_while_vectors_are_computed(tiny, monkeypatch):
    sizes, embed = [], pretrained.embed

    def limited(texts, *given, batch_size, **settings):
        sizes.append(batch_size)
        if batch_size > 16:
            raise MemoryError
        return embed(texts, *given, batch_size=batch_size, **settings)

    monkeypatch.setattr(pretrained, "embed", limited)
    with pytest.warns(UserWarning, match="batches of 2 texts, 2 of them to a step"):
        result = head(tiny, batch_size=4)
    assert result.predict(TEXTS).shape == (8, 2) and sizes[:2] == [32, 16] and set(sizes[1:]) == {16}


def test_memory_that_runs_out_with_one_text_is_an_error(tiny, monkeypatch):
    def never(*_, **__):
        raise MemoryError

    monkeypatch.setattr(keras.Model, "train_on_batch", never)
    with pytest.warns(UserWarning, match="batches of 1 texts, 2 of them"), pytest.raises(MemoryError):
        head(tiny)


def test_float16_is_not_cut_into_parts(tiny, little_memory):
    with pytest.raises(
        MemoryError, match="^memory runs out with batch_size 4, which mixed_float16 cannot take in parts"
    ):
        head(tiny, batch_size=4, precision="mixed_float16")


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (MemoryError(), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes"), True),  # JAX
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory."), True),  # PyTorch
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), True),  # PyTorch
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (ValueError("texts is empty"), False),
    ],
)
def test_which_errors_are_of_memory(error, memory):
    assert training._out_of_memory(error) == memory


def test_an_empty_batch_is_never_made(tiny, monkeypatch):
    sizes, step = [], training._step

    def counted(model, data, rows, *rest):
        sizes.append(len(rows))
        return step(model, data, rows, *rest)

    monkeypatch.setattr(training, "_step", counted)
    result = head(tiny, epochs=1, batch_size=7)
    assert sorted(sizes) == [1, 7]
    assert result.predict([]).shape == (0, 2)
    assert np.isfinite(result.predict([""])).all()
