"""Duplicates at scale: the seeded tables, the cost of a giant cluster, and the same rows from Dask."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import generate
from helpers import datasets, duplicates


@pytest.fixture(scope="module")
def table():
    return generate.table(4_000, seed=3)


def test_generated_tables_hold_what_they_promise(table):
    assert generate.table(4_000, seed=3).equals(table)
    repeats = table[table["origin"] != table.index]
    sources = table.loc[repeats["origin"]]
    same = repeats["text"].to_numpy() == sources["text"].to_numpy()
    assert (len(table), same.sum(), (~same).sum()) == (4_000, 800, 80)
    assert (table["origin"].value_counts() <= 5).all()
    assert table.loc[table["origin"] == table.index, "text"].is_unique
    for edited, source in zip(repeats["text"][~same], sources["text"][~same], strict=True):
        assert sum(a != b for a, b in zip(edited, source, strict=True)) == 1


def test_generated_texts_have_the_lengths_and_trigrams_of_the_reviews():
    texts, corpus = generate.texts(2_000), datasets.load("reviews_zh")["text"].drop_duplicates()
    lengths = np.quantile([len(text) for text in texts], [0.1, 0.5, 0.9])
    assert np.allclose(lengths, corpus.str.len().quantile([0.1, 0.5, 0.9]), rtol=0.15)
    joined = "".join(corpus)
    known = {joined[i : i + 3] for i in range(len(joined))}
    assert all(text[i : i + 3] in known for text in texts[:200] for i in range(len(text) - 2))


def test_planted_near_repeats_are_found(table):
    distinct = table[~duplicates.repeats(table, key=str)]
    planted = distinct["origin"].duplicated()
    found = duplicates.near_repeats(distinct)
    assert (planted & found).sum() >= 0.97 * planted.sum()  # an edit amid repeated characters can cost more shingles
    assert (found & ~planted).sum() <= 0.002 * len(distinct)


def candidates(monkeypatch, function, frame):
    """How many candidates `function` compares."""
    compared, near = [], duplicates._near

    def counting(sets, index, group, *rest):
        compared.append(duplicates._partners(index[0], group)[1].sum())
        return near(sets, index, group, *rest)

    monkeypatch.setattr(duplicates, "_near", counting)
    result = function(frame)
    monkeypatch.setattr(duplicates, "_near", near)
    return result, sum(compared)


@pytest.mark.parametrize("function", [duplicates.near_repeats, duplicates.families])
def test_a_giant_cluster_is_compared_with_its_representative_only(monkeypatch, function):
    monkeypatch.setattr(duplicates, "BLOCK", 40_000)
    small, few = candidates(monkeypatch, function, generate.giant(1_000))
    large, many = candidates(monkeypatch, function, generate.giant(8_000))
    assert many < 12 * few < 1_000**2
    if function is duplicates.near_repeats:
        assert not large.iloc[0] and large.iloc[1:].all()
    else:
        assert large.nunique() == 1


def test_shared_boilerplate_below_the_threshold_costs_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    letters = [chr(0x4E00 + i) for i in range(3_000)]
    greeting = "".join(rng.choice(letters, 80))
    frame = pd.DataFrame({"text": [greeting + "".join(rng.choice(letters, 20)) for _ in range(500)]})
    gone, compared = candidates(monkeypatch, duplicates.near_repeats, frame)
    assert not gone.any() and compared < 10_000


# ---- Dask -----------------------------------------------------------------------------------------------------------

dataframe = pytest.importorskip("dask.dataframe")


def reasons(frame, partitions):
    """Reason of each row by `clean` and by `clean_dask`, both in the order of rows."""
    _, rejected, _ = duplicates.clean(frame)
    expected = pd.Series("", frame.index).where(~frame.index.isin(rejected.index), rejected["reason"])
    rows = duplicates.clean_dask(dataframe.from_pandas(frame, npartitions=partitions, sort=False)).compute()
    rows = rows.sort_values("position")
    assert rows["position"].tolist() == list(range(len(frame)))
    assert rows.index.tolist() == frame.index.tolist()
    return expected.tolist(), rows["reason"].tolist()


def test_dask_gives_the_same_rows_in_threads(table):
    expected, found = reasons(table[["text", "label"]].iloc[::-1], 3)
    assert found == expected
    assert {"", "exact repeat", "near repeat"} <= set(found)


def test_dask_names_near_repeats_with_the_other_label(table):
    frame = table[["text", "label"]].assign(label=np.where(np.arange(len(table)) % 2, "+", "-"))
    expected, found = reasons(frame, 3)
    assert found == expected
    assert {"", "label conflict", "near repeat, other label", "near repeat"} <= set(found)


def test_dask_takes_one_row_and_empty_partitions():
    frame = pd.DataFrame({"text": ["房间很干净", "优点："], "label": ["+", "+"]})
    rows = dataframe.from_pandas(frame, npartitions=2)
    rows = duplicates.clean_dask(rows[rows["text"] != "优点："]).compute()
    assert rows[["text", "reason"]].to_numpy().tolist() == [["房间很干净", ""]]


def test_dask_refuses_columns_it_would_overwrite():
    frame = pd.DataFrame({"text": ["好"], "label": ["+"], "key": [1]})
    with pytest.raises(ValueError, match="rename the column 'key'"):
        duplicates.clean_dask(dataframe.from_pandas(frame, npartitions=1))


def test_dask_gives_the_same_rows_on_a_cluster_of_processes():
    distributed = pytest.importorskip("distributed")
    frame = datasets.load("reviews_zh")[["text", "label"]].sample(8_000, random_state=0).sort_index()
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
    ):
        expected, found = reasons(frame, 4)
    assert found == expected
    assert {"label conflict", "exact repeat", "near repeat"} <= set(found)
