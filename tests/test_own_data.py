"""A table of one's own: language, sample, models that reload the same, results whole or not at all, the notebook."""

import json

import nbformat
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from papermill import PapermillExecutionError, execute_notebook
from sklearn.linear_model import LogisticRegression

from helpers import cleaning, datasets, duplicates, own_data, tables
from helpers.datasets import DataError
from helpers.runner.paths import root

GERMAN = [f"Das Zimmer {i} war schön, größer als üblich; très agréable" for i in range(60)]
CHINESE = [f"第{i}间房间很干净，服务也不错，下次还会再来" for i in range(60)]
LABELS = ["ja", "nein"] * 30


# --- language, sample, advice -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["this is not what i had in mind when i bought it", "a very good film"], ("English", "en")),
        (GERMAN, ("other", "en")),
        (["le film est très bon et je ne regrette pas de l'avoir vu"], ("other", "en")),
        (CHINESE, ("Chinese", "zh")),
        (["とても良い映画でした、また見たいです"], ("other", "zh")),
        (["очень хороший фильм"], ("other", "en")),
        (["12345 !!!"], ("other", "en")),
    ],
)
def test_language(texts, expected):
    assert own_data.language(texts) == expected


@settings(max_examples=25, deadline=None)
@given(st.integers(10, 99), st.integers(0, 5))
def test_a_sample_has_its_size_some_of_each_label_and_the_order_of_the_frame(n, seed):
    frame = pd.DataFrame({"label": ["rare"] * 5 + ["common"] * 95}).sample(frac=1, random_state=1)
    drawn = own_data.sample(frame, n, seed=seed)
    assert len(drawn) == n
    assert (drawn["label"] == "rare").sum() == 5
    assert drawn.index.tolist() == [row for row in frame.index if row in set(drawn.index)]


def test_a_sample_too_small_for_its_labels_is_refused():
    with pytest.raises(ValueError, match="9 rows are too few for 2 labels"):
        own_data.sample(pd.DataFrame({"label": list("ab") * 20}), 9)


@pytest.mark.parametrize(
    ("n_rows", "n_pool", "n_labels", "method"),
    [
        (0, 5000, 2, "all"),
        (5000, 5000, 2, "all"),
        (40, 5000, 2, "random"),
        (50, 5000, 2, "agreement"),
        (100, 5000, 2, "agree_then_herd"),
        (1000, 5000, 2, "agree_then_herd"),
        (1001, 50_000, 2, "random"),
        (500, 2000, 2, "random"),
        (500, 5000, 3, "random"),
    ],
)
def test_random_is_recommended_wherever_nothing_was_shown_to_win(n_rows, n_pool, n_labels, method):
    assert own_data.recommend(n_rows, n_pool, n_labels)[0] == method


# --- models as files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_labels", [2, 3])
@pytest.mark.parametrize(("units", "texts"), [("en", GERMAN), ("zh", CHINESE)])
def test_the_network_of_tfidf_is_scikit_learns_model(units, texts, n_labels):
    labels = np.array(["a", "b", "c"][:n_labels] * 30)[:60]
    fitted = own_data.vectoriser(units, most=200)
    model = LogisticRegression(C=10).fit(fitted.fit_transform(texts), labels)
    about = {
        "classes": model.classes_.tolist(),
        "masked": False,
        "analyzer": fitted.analyzer,
        "terms": fitted.get_feature_names_out().tolist(),
    }
    predict = own_data.predictor(own_data.tfidf_network(fitted, model), about)
    asked = own_data.prepare([*texts, "nothing known 123", "x" * 3000 + " ".join(texts)], False)
    np.testing.assert_allclose(predict(asked), model.predict_proba(fitted.transform(asked)), atol=1e-6)
    assert predict([]).shape == (0, n_labels)


def test_a_tfidf_model_reloads_to_the_same_predictions(tmp_path):
    fitted = own_data.vectoriser("zh")
    model = LogisticRegression().fit(fitted.fit_transform(CHINESE), LABELS)
    terms = fitted.get_feature_names_out().tolist()
    about = {"classes": ["ja", "nein"], "masked": True, "analyzer": "char", "terms": terms}
    network = own_data.tfidf_network(fitted, model)
    own_data.save(tmp_path, network, about)
    before, after = own_data.predictor(network, about)(CHINESE), own_data.load(tmp_path)(CHINESE)
    pd.testing.assert_frame_equal(after, before, rtol=0, atol=0)


def test_an_encoder_reloads_to_the_same_predictions_without_its_optimiser(tmp_path):
    import keras
    from keras import ops

    ids = {name: keras.Input((None,), dtype="int32", name=name) for name in ("token_ids", "padding_mask")}
    table_ = keras.layers.Embedding(128_010, 4)(ids["token_ids"])
    pooled = ops.sum(table_ * ops.expand_dims(ops.cast(ids["padding_mask"], "float32"), -1), axis=1)
    model = keras.Model(ids, keras.layers.Dense(2)(pooled))
    model.compile("adamw", "mse")
    model.optimizer.build(model.trainable_variables)
    about = {"classes": ["ja", "nein"], "masked": False, "encoder": "use", "max_tokens": 32}
    own_data.save(tmp_path, model, about)
    before, after = own_data.predictor(model, about)(GERMAN), own_data.load(tmp_path)(GERMAN)
    pd.testing.assert_frame_equal(after, before, rtol=0, atol=0)
    assert (tmp_path / "model.keras").stat().st_size < 1.5 * 4 * 4 * 128_010


def test_texts_are_masked_before_the_model_reads_them():
    assert own_data.prepare(["Ｃａｌｌ  13800138000"], True) == ["Call [PHONE]"]
    assert own_data.prepare(["Ｃａｌｌ  13800138000"], False) == ["Call 13800138000"]


PERSONAL = st.lists(
    st.sampled_from(
        [
            "13812345678",
            "jo",
            "&amp;",
            "&",
            "#64;",
            "#49;",
            "amp;",
            "@",
            "example.com",
            " ",
            "tel",
            "x",
            "3.",
            "你好",
            "1",
            "-",
        ]
        + ["&#x31;3812345678", "４", "4111111111111111", "\u200b", "440306198703154325", "&lt", "QQ:12345", "."]
    ),
    max_size=8,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(PERSONAL)
def test_masking_comes_last_and_what_was_prepared_is_normal(text):
    (prepared,) = own_data.prepare([text], True)
    assert cleaning.normalise(prepared) == prepared
    assert own_data.prepare([prepared], True) == [prepared]


@pytest.mark.parametrize(
    "text", ["jo&#64;example.com", "jo&amp;amp;#64;example.com", "jo&amp;amp;amp;commat;example.com"]
)
def test_no_entity_hides_an_address(text):
    assert own_data.prepare([f"write to {text} please"], True) == ["write to [EMAIL] please"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("यह अच्छा था", ["यह", "अच्छा", "था"]),
        ("বাংলা ভাষা", ["বাংলা", "ভাষা"]),
        ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
        ("తెలుగు", ["తెలుగు"]),
        ("മലയാളം", ["മലയാളം"]),
        ("සිංහල", ["සිංහල"]),
        ("မြန်မာ", ["မြန်မာ"]),
        ("ខ្មែរ", ["ខ្មែរ"]),
        ("می\u200cخواهم مدرّسة", ["می\u200cخواهم", "مدرّسة"]),
        ("𑄌𑄋𑄴𑄟𑄳𑄦", ["𑄌𑄋𑄴𑄟𑄳𑄦"]),
        ("It's a 1️⃣ ❤️ day, OK_2", ["it", "day", "ok_2"]),
    ],
)
def test_words_are_whole_in_every_script(text, words):
    analyse = own_data.vectoriser("en").build_analyzer()
    assert analyse(text)[: len(words)] == words
    assert len(analyse(text)) == 2 * len(words) - 1  # and their pairs


@pytest.mark.parametrize("name", ["snippets_en", "reviews_zh", "docs_qa"])
def test_words_of_english_and_chinese_are_scikit_learns(name):
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = datasets.load(name)["text"].map(cleaning.normalise)
    ours, theirs = (v.build_analyzer() for v in (own_data.vectoriser("en"), TfidfVectorizer(ngram_range=(1, 2))))
    assert [text for text in texts if ours(text) != theirs(text)] == []


def test_a_tfidf_model_of_hindi_reloads_to_the_same_predictions():
    texts = own_data.prepare(["खाना अच्छा था", "खाना बुरा था", "कमरा साफ़ था", "कमरा गंदा था"] * 15, False)
    fitted = own_data.vectoriser("en")
    model = LogisticRegression().fit(fitted.fit_transform(texts), LABELS)
    terms = fitted.get_feature_names_out().tolist()
    assert {"खाना", "अच्छा था", "गंदा"} <= set(terms)
    about = {"classes": ["ja", "nein"], "masked": False, "analyzer": "word", "terms": terms}
    predict = own_data.predictor(own_data.tfidf_network(fitted, model), about)
    np.testing.assert_allclose(predict(texts), model.predict_proba(fitted.transform(texts)), atol=1e-6)


# --- out --------------------------------------------------------------------------------------------------------------


def test_nothing_half_written_stays(tmp_path):
    with pytest.raises(RuntimeError), own_data.finished(tmp_path / "result") as folder:
        (folder / "chosen.csv").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_result_is_replaced_only_at_the_end(tmp_path):
    target = tmp_path / "deep" / "result"
    for content in ("first", "second"):
        with own_data.finished(target) as folder:
            (folder / "model.json").write_text(json.dumps(content))
            assert not target.exists() or "first" in (target / "model.json").read_text()
    assert json.loads((target / "model.json").read_text()) == "second"
    assert [path.name for path in target.parent.iterdir()] == ["result"]


def test_a_folder_with_other_files_is_never_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="holds other files: name one that is new"), own_data.finished(tmp_path):
        raise AssertionError
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


# --- the notebook -----------------------------------------------------------------------------------------------------

NOTEBOOK = root() / "notebooks" / "19_your_own_data.ipynb"


def reviews(n, seed):
    """Distinct Chinese reviews, n of each label."""
    frame = datasets.load("reviews_zh").drop_duplicates("text")
    frame = frame[frame["text"].str.len() > 20]
    return frame.groupby("label").sample(n, random_state=seed)[["text", "label"]]


def test_the_notebook_keeps_copies_on_one_side_and_each_row_once(tmp_path, monkeypatch):
    """All its code on a small table, in which many texts stand several times, exactly or nearly."""
    once = reviews(30, 0)
    chain = [once.assign(text=once["text"] + "真的" * n) for n in (1, 2)]
    pd.concat([once, *chain, reviews(15, 1)]).to_csv(tmp_path / "my.csv", index=False, encoding="gb18030")
    given = {"table": str(tmp_path / "my.csv"), "threshold": 0.9, "epochs": 1, "n_rows": 40, "drop_suspects": True}
    shown = {"display": lambda *_: None}
    monkeypatch.setattr("helpers.plots.show", lambda *_, **__: None)
    for cell in nbformat.read(NOTEBOOK, 4).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, cell.id, "exec"), shown)
        if "parameters" in cell.metadata.get("tags", []):
            shown |= given

    result = tmp_path / "my_results"
    chosen, rejected = (pd.read_csv(result / f"{name}.csv", index_col="row") for name in ("chosen", "rejected"))
    raw = tables.read(tmp_path / "my.csv")
    assert sorted([*chosen.index, *rejected.index]) == raw.index.tolist()
    assert rejected["reason"].ne("").all()
    clean = shown["kept"]
    pairs = duplicates.near_pairs(clean["text"].tolist(), 0.9)
    parts = clean["part"].to_numpy()
    assert (parts[pairs["first"]] == parts[pairs["second"]]).all()
    assert not clean["text"].map(datasets.text_key).duplicated().any()
    assert (chosen["part"] == "train").sum() <= 40
    texts = chosen.loc[chosen["part"] == "test", "text"]
    pd.testing.assert_frame_equal(own_data.load(result)(texts), shown["predict"][shown["winner"]](texts), atol=1e-6)

    suspects = pd.read_csv(result / "suspects.csv", index_col="row")
    assert suspects.index.tolist() == shown["suspects"].index.tolist()
    assert suspects["part"].tolist() == clean["part"].reindex(suspects.index).tolist()
    shown["doubts"]["flagged"] = False
    (cell,) = [cell.source for cell in nbformat.read(NOTEBOOK, 4).cells if '"suspects.csv":' in cell.source]
    exec(compile(cell, "no suspects", "exec"), shown)
    assert shown["files"]["suspects.csv"].empty


def test_papermill_ends_with_the_sentence(tmp_path):
    path = tmp_path / "my.csv"
    pd.DataFrame({"text": GERMAN, "label": LABELS}).to_csv(path, index=False)
    with pytest.raises(
        PapermillExecutionError, match=r"my\.csv has no column 'txt': did you mean text_column='text'\?"
    ):
        execute_notebook(NOTEBOOK, None, {"table": str(path), "text_column": "txt"}, progress_bar=False)
