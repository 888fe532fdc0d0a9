"""scenarios.classification: what each model sees, and what a trained one returns."""

import numpy as np
import pytest

from helpers import finetuning, pretrained
from helpers.scenarios import classification

PLACE = {"language": "en", "encoder": "minilm"}
TEXTS = ["a good film", "a GREAT film :)", "bad", "so bad, so LONG"] * 6
LABELS = np.array(["yes", "yes", "no", "no"] * 6, object)


def test_the_rule_standardises_its_three_numbers_by_the_training_texts():
    own, other = classification.features("rule", TEXTS, ["bad"], **PLACE)
    assert own.shape == (24, 3) and np.allclose(own.mean(axis=0), 0) and np.allclose(own.std(axis=0), 1, atol=1e-6)
    np.testing.assert_array_equal(other[0], own[2])


def test_characters_are_counted_in_any_language_and_words_in_english():
    words, characters = (
        classification.features(model, TEXTS, ["dab"], **PLACE)[1] for model in ("TF-IDF", "characters")
    )
    assert words.nnz == 0 and characters.nnz > 0


@pytest.mark.parametrize("model", ["rule", "TF-IDF", "characters", "frozen"])
def test_a_probe_names_its_classes_in_the_order_of_its_columns(model, monkeypatch):
    monkeypatch.setattr(
        pretrained, "embed", lambda texts, encoder: np.array([["bad" in text] for text in texts], float)
    )
    predict, classes = classification.classifier(model, TEXTS, LABELS, **PLACE)
    found = predict(TEXTS)
    assert list(classes) == ["no", "yes"] and found.shape == (24, 2)
    assert (np.array(classes)[found.argmax(axis=1)] == LABELS).all()


def test_a_full_model_is_tuned_with_the_settings_given(monkeypatch):
    class Tuned:
        classes = ["no", "yes"]

        def predict(self, texts):
            return np.tile([0.2, 0.8], (len(texts), 1))

    seen = {}
    monkeypatch.setattr(finetuning, "fine_tune", lambda texts, labels, **settings: seen.update(settings) or Tuned())
    predict, classes = classification.classifier("full", TEXTS, LABELS, **PLACE, seed=3, epochs=2, max_tokens=8)
    assert predict(["a", "b"]).shape == (2, 2) and classes == Tuned.classes
    precision = finetuning.sixteen_bits()
    assert seen == {"encoder": "minilm", "precision": precision, "seed": 3, "epochs": 2, "max_tokens": 8}
