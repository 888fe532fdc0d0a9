"""The study of remedies: its rows and how they are read."""

import numpy as np

from helpers.runner import studies

remedies = studies.module("remedies")


def test_the_parts_of_the_film_sentences_do_not_overlap_and_are_mixed():
    pool, valid, test = remedies.film()
    assert len(test) == 1400 and len(valid) > 500
    texts = [set(part["text"]) for part in (pool, valid, test)]
    assert not (texts[0] & texts[1] or texts[0] & texts[2] or texts[1] & texts[2])
    assert 0.4 < (test["label"].head(100) == "negative").mean() < 0.6


def test_draw_gives_the_share_asked_for_and_other_rows_for_another_seed():
    pool = remedies.film()[0]
    rows = remedies.draw(pool, 200, 3, 0.05)
    assert len(set(rows.index)) == 200 and (rows["label"] == "negative").sum() == 10
    assert remedies.draw(pool, 200, 3, 0.05).index.equals(rows.index)
    assert set(remedies.draw(pool, 200, 4, 0.05).index) != set(rows.index)


def test_encode_knows_the_commonest_pieces_of_the_training_rows_only():
    pool, valid, _ = remedies.film()
    rows = remedies.draw(pool, 200, 0)
    (x, x_valid), size = remedies.encode([rows, valid])
    assert (x != 1).all() and x.max() == size - 1 and (x_valid == 1).any()  # every training piece is known
    (few, _), small = remedies.encode([rows, valid], 10)
    assert small == 12 and few.max() == 11
    assert np.bincount(few.ravel())[2:].tolist() == sorted(np.bincount(x.ravel())[2:], reverse=True)[:10]
    assert ((few > 0) == (x > 0)).all()  # an unknown piece still takes its place
    cleaned = remedies.encode([rows, valid], cleaned=True)[0][0]
    assert (cleaned[:, 0] > 0).all() and (cleaned > 0).sum() < 0.8 * (x > 0).sum()


def test_wrong_labels_fall_on_both_classes_alike():
    y = remedies.negative(remedies.draw(remedies.film()[0], 1000, 3))
    wrong = remedies.wrong(1000, 0.2, 3)
    assert wrong.sum() == 200 and 70 < y[wrong].sum() < 130
