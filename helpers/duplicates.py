"""Preprocess: texts said twice, labels that contradict each other, test rows that stand in training."""

import numpy as np
import pandas as pd

from helpers import cleaning
from helpers.datasets import text_key


def repeats(frame, key=text_key):
    """True for every row but the first of those whose texts have one key (default: case, width, punctuation aside)."""
    return _keys(frame, key).duplicated()


def conflicts(frame, key=text_key):
    """True for every row whose text carries more than one label somewhere in the frame.

    >>> conflicts(pd.DataFrame({"text": ["好！", "好", "坏"], "label": ["+", "-", "-"]})).tolist()
    [True, True, False]
    """
    labels = frame.groupby(pd.factorize(_keys(frame, key))[0])["label"].transform("nunique")
    return labels > 1


def _keys(frame, key):
    """The texts' keys; as objects, because pandas's own strings refuse lone surrogates."""
    return pd.Series([key(text) for text in frame["text"]], frame.index, dtype=object, name="text")


# ---- near duplicates ------------------------------------------------------------------------------------------------
# Shingles are runs of n characters. A token stands for one: its count in all texts, up to 2047, in front of 52 bits of
# its hash, so that sorting a text's tokens puts the rarest first.

COUNT_BITS, HASH_BITS = 11, 52
BLOCK = 1 << 22


def near_pairs(texts, threshold=0.7, n=5, block=BLOCK):
    """Every pair of texts whose sets of character n-grams ("shingles") overlap by `threshold` or more; exact.

    texts     : sequence of str; a text shorter than n has no shingle and is never paired
    threshold : 0 < threshold ≤ 1, and n ≥ 1, else ValueError
    block     : candidates compared at a time; bounds memory, changes nothing else
    returns   : DataFrame first, second (positions, first < second), jaccard = |A ∩ B| / |A ∪ B|
    method    : sort each set from the rarest shingle on. Two sets that overlap by t share one of the first
                |A| − ⌈t·|A|⌉ + 1 shingles of each, so rows are compared only where such a shingle repeats, and only if
                what follows it is long enough. No pair is missed, unlike with MinHash, whose b bands of r rows find a
                pair of overlap s with probability 1 − (1 − sʳ)ᵇ: .99 at s = .7 takes 17 bands of 4, 68 hashes a shingle
    cost      : sorting the shingles, then the candidates; O(pairs) memory, so use `near_repeats` where copies abound
    source    : Broder 1997, "On the resemblance and containment of documents", §1 (resemblance of shingle sets);
                Chaudhuri, Ganti & Kaushik 2006, §4 (prefix filter); Xiao et al. 2008, §3 (positional filter)
    """
    sets = _sets(texts, threshold, n)
    index = _index(sets, threshold)
    return _near(sets, index, index[1], threshold, block)


def near_repeats(frame, threshold=0.7, n=5):
    """True for rows that are a near duplicate of an earlier row that stays (greedy, first come first kept).

    A cluster of copies costs no more than its size: members are compared with the row that stays for them alone.
    """
    return pd.Series(_stays(frame, threshold, n) != np.arange(len(frame)), index=frame.index)


def _stays(frame, threshold, n):
    """Of each row the position of the earliest row near it that stays, its own where it stays itself."""
    sets = _sets(frame["text"].tolist(), threshold, n)
    return _leaders(sets, _index(sets, threshold), threshold)


NEAR_CONFLICT, NEAR_REPEAT = "near repeat, other label", "near repeat"


def near_reasons(frame, threshold=0.7, n=5):
    """Reason of each row that `near_repeats` names, "" of the others: whether the row that stays has its label or not.

    A row with the other label may be right: one "not" makes a near repeat of the opposite. So read these rows.

    >>> texts = ["我会向朋友和家人推荐这家酒店", "我不会向朋友和家人推荐这家酒店", "我会向朋友和家人推荐这家酒店的"]
    >>> near_reasons(pd.DataFrame({"text": texts, "label": ["+", "-", "+"]}), 0.6, 2).tolist()
    ['', 'near repeat, other label', 'near repeat']
    """
    first = _stays(frame, threshold, n)
    label = frame["label"].to_numpy()
    reason = np.where(label == label[first], NEAR_REPEAT, NEAR_CONFLICT)
    return pd.Series(np.where(first == np.arange(len(frame)), "", reason), frame.index)


def near_steps(threshold=0.7, n=5):
    """The last two steps of `clean`, for `cleaning.funnel`: near repeats with another label, then those with the same.

    The first step compares the texts for both.
    """
    found = []

    def conflict(rows):
        found[:] = [near_reasons(rows, threshold, n)]
        return found[0] == NEAR_CONFLICT

    def repeat(rows):
        return found[0][found[0] != NEAR_CONFLICT] == NEAR_REPEAT

    return {NEAR_CONFLICT: conflict, NEAR_REPEAT: repeat}


def families(frame, threshold=0.7, n=5):
    """Number of the family of each row: rows whose texts share a key or are near duplicates, directly or by a chain.

    What to keep together in a split when copies stay in the frame.

    >>> families(pd.DataFrame({"text": ["房间很干净,下次还来", "太差", "房间很干净,下次还来住", "太差！"]})).tolist()
    [0, 1, 0, 1]
    """
    key = pd.factorize(_keys(frame, text_key))[0]
    distinct = frame["text"][~pd.Series(key, frame.index).duplicated()].tolist()
    return pd.Series(_chains(distinct, threshold, n)[key], index=frame.index, name="family")


def _chains(texts, threshold, n):
    """Number of the component of each text in the graph of near duplicates."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    sets = _sets(texts, threshold, n)
    index = _index(sets, threshold)
    leader = _leaders(sets, index, threshold)
    index = index[:, np.lexsort((leader[index[1]], index[0]))]  # rows of one leader are joined already
    pairs = _near(sets, index, leader[index[1]], threshold)
    first = np.concatenate([np.arange(len(texts)), pairs["first"]])
    second = np.concatenate([leader, pairs["second"]])
    edges = coo_array((np.ones(len(first)), (first, second)), shape=(len(texts),) * 2)
    return connected_components(edges, directed=False)[1]


def _ranges(start, length):
    """The integers start[0] … start[0] + length[0] − 1, then those from start[1], and so on, as one array."""
    return np.arange(length.sum()) + np.repeat(start - np.cumsum(length) + length, length)


def _ends(change):
    """Where the run of each element ends, given whether each element but the first differs from the one before it."""
    edges = np.concatenate([[0], np.flatnonzero(change) + 1, [len(change) + 1]])
    return np.repeat(edges[1:], np.diff(edges))


def _blocks(weights, limit):
    """Slices that cut a sequence wherever its summed weights pass a multiple of `limit`."""
    cuts = np.flatnonzero(np.diff(np.cumsum(weights) // limit)) + 1
    return map(slice, [0, *cuts], [*cuts, len(weights)])


def _shingles(texts, n):
    """64-bit hashes of the runs of n characters of all texts in order, and the number of runs a text."""
    if n < 1:
        raise ValueError(f"n, the characters of a run, must be at least 1, got {n}")
    if odd := [text for text in texts if not isinstance(text, str)]:
        raise ValueError(f"every text must be a string, got {odd[0]!r}")
    characters = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    length = np.fromiter(map(len, texts), int, len(texts))
    hashes = np.zeros(max(len(characters) - n + 1, 0), np.uint64)
    for i in range(n):
        hashes ^= characters[i : i + len(hashes)]
        hashes *= np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ over the golden ratio
        hashes ^= hashes >> np.uint64(32)
    runs = np.maximum(length - n + 1, 0)
    across = _ranges(np.cumsum(length) - length + runs, length - runs)  # they start in one text and end in a later one
    return np.delete(hashes, across[across < len(hashes)]), runs


def _counts(hashes, bits=None):
    """How often each hash occurs, in a table of 2^bits places; hashes that share a place count together."""
    bits = bits or min(max(len(hashes).bit_length(), 10), 25)
    return np.bincount(hashes >> np.uint64(64 - bits), minlength=1 << bits)


def _sets(texts, threshold, n, counts=None):
    """The texts' sets of shingles as a sparse matrix: a row a text, its columns the tokens, rarest first."""
    from scipy.sparse import csr_array

    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must be above 0 and at most 1, such as 0.7, got {threshold}")
    hashes, runs = _shingles(texts, n)
    counts = _counts(hashes) if counts is None else counts
    rarity = np.minimum(counts, (1 << COUNT_BITS) - 1).astype(np.int16)
    rarity = rarity[hashes >> np.uint64(65 - len(counts).bit_length())]
    tokens = (hashes >> np.uint64(64 - HASH_BITS)).astype(np.int64)
    tokens |= rarity.astype(np.int64) << HASH_BITS
    start = np.concatenate([[0], np.cumsum(runs)])
    sets = csr_array((np.ones(len(tokens), np.int8), tokens, start), shape=(len(runs), np.iinfo(np.int64).max))
    sets.sum_duplicates()
    sets.data[:] = 1
    return sets


def _size(sets, rows):
    return sets.indptr[rows + 1] - sets.indptr[rows]


def _prefixes(sets, threshold):
    """The first tokens of each set, of which near duplicates share one, but for those that stand once in all texts.

    returns : int array (3, prefix tokens): token, row, rest = the number of the row's tokens from this one on
    """
    size = np.diff(sets.indptr)
    length = np.where(size > 0, size - np.ceil(threshold * size - 1e-9).astype(int) + 1, 0)
    at, row = _ranges(sets.indptr[:-1], length), np.repeat(np.arange(len(size)), length)
    repeated = sets.indices[at] >= 2 << HASH_BITS
    at, row = at[repeated], row[repeated]
    return np.stack([sets.indices[at], row, sets.indptr[row + 1] - at])


def _index(sets, threshold):
    """The prefixes sorted by token, less those with too little left to be near even the smallest set that has it."""
    prefixes = _prefixes(sets, threshold)
    token, row, rest = prefixes = prefixes[:, np.argsort(prefixes[0], kind="stable")]
    start = np.flatnonzero(np.diff(token, prepend=-1))
    size = _size(sets, row)
    smallest = np.repeat(np.minimum.reduceat(size, start), np.diff(start, append=len(token)))
    return prefixes[:, _enough(rest, size + smallest, threshold)]


def _enough(common, both, threshold):
    """Whether two sets of `both` members together, of them at most `common` shared, can overlap by the threshold."""
    return common * (1 + threshold) >= threshold * both - 1e-9


def _partners(token, group):
    """Of each place, the places with the same token and a later group: where they start, and how many they are."""
    change = token[1:] != token[:-1]
    start = _ends(change | (group[1:] != group[:-1]))
    return start, _ends(change) - start


def _near(sets, index, group, threshold, block=BLOCK):
    """Near duplicates of different groups, as `near_pairs` gives them.

    index, group : as `_index` has it, and the group of each of its rows; places of one token lie sorted by group
    """
    token, row, rest = index
    start, length = _partners(token, group)
    found = [np.empty((0, 3))]
    for part in _blocks(length, block):
        one, other = np.repeat(np.arange(len(row))[part], length[part]), _ranges(start[part], length[part])
        # no more than `rest` is common from the first common token on; at that token at least, this finds the pair
        both = _size(sets, row[one]) + _size(sets, row[other])
        possible = _enough(np.minimum(rest[one], rest[other]), both, threshold)
        low, high = np.sort([row[one[possible]], row[other[possible]]], axis=0)
        low, high = np.divmod(np.unique(low * sets.shape[0] + high), sets.shape[0])
        both = _size(sets, low) + _size(sets, high)
        for few in _blocks(both, block):
            common = sets[low[few]].multiply(sets[high[few]]).sum(axis=1)
            jaccard = common / (both[few] - common)
            found.append(np.column_stack([low[few], high[few], jaccard])[jaccard >= threshold])
    pairs = pd.DataFrame(np.concatenate(found), columns=["first", "second", "jaccard"])
    pairs = pairs.drop_duplicates().sort_values(["first", "second"], kind="stable", ignore_index=True)
    return pairs.astype({"first": int, "second": int})


def _few(candidates, places):
    """Whether an index with so many places has few enough candidates to compare them all."""
    return candidates <= max(BLOCK // 4, 8 * places)


def _leaders(sets, index, threshold):
    """The earliest-first greedy rule: of each row the row that stays in its place, itself where it stays.

    Where candidates are many, the earlier half of the rows is solved first; those of its rows that stay, no others, are
    compared with the later half; what they leave of that is solved last.
    """
    leader = np.arange(sets.shape[0])

    def solve(index):
        token, row, _ = index
        if _few(_partners(token, row)[1].sum(), len(row)):
            for first, second in _near(sets, index, row, threshold)[["first", "second"]].to_numpy():
                if leader[first] == first and leader[second] == second:
                    leader[second] = first
            return
        rows = np.unique(row)
        middle = rows[len(rows) // 2]
        solve(index[:, row < middle])
        index = index[:, leader[row] == row]
        near = _near(sets, index, index[1] >= middle, threshold).drop_duplicates("second")  # the earliest row near it
        leader[near["second"]] = near["first"]
        solve(index[:, (index[1] >= middle) & (leader[index[1]] == index[1])])

    solve(index)
    return leader


STEPS = {name: lambda rows, breaks=breaks: rows["text"].map(breaks) for name, breaks in cleaning.RULES.items()}
STEPS |= {"label conflict": conflicts, "exact repeat": repeats}


def clean(frame, threshold=0.7, n=5):
    """The course's cleaning from end to end: normalise, quality rules, label conflicts, exact and near repeats.

    Personal data are masked before (`own_data.prepare`) or after: the normal form exposes nothing that was masked.

    frame     : columns text, label; row ids in the index
    threshold : least Jaccard overlap of character n-grams at which a later row counts as a near repeat
    returns   : (kept, rejected, table) as `cleaning.funnel` does; conflicts go before repeats, because a repeat that is
                dropped takes its label along and the conflict can no longer be seen. Of near repeats the first stays
                and a later one with another label goes with a reason of its own, see `near_reasons`
    """
    return cleaning.funnel(_normalised(frame), STEPS | near_steps(threshold, n))


def _normalised(frame):
    texts = [cleaning.normalise(text) for text in frame["text"]]
    return frame.assign(text=pd.Series(texts, frame.index, dtype=frame["text"].dtype))


def overlap(train, test, key=text_key):
    """True for every test row whose text stands in the training set too (Series aligned with `test`)."""
    return _keys(test, key).isin(set(_keys(train, key)))


def ngram_overlap(train, test, n=13, key=text_key):
    """Share of each test text's runs of n characters that stand somewhere in the training texts, 0 … 1.

    n       : characters, at least 1, else ValueError; 13 Chinese characters are about eight words, and English needs 50
    returns : float Series aligned with `test`; a text shorter than n counts as one run: 1 if it is a training text
    cost    : sorting the runs of the training texts
    source  : Brown et al. 2020, appendix C (there runs of 8 to 13 words, and one in common makes a text dirty)

    >>> train = pd.DataFrame({"text": ["房间很干净,服务很好", "太差"]})
    >>> ngram_overlap(train, pd.DataFrame({"text": ["房间很干净,早餐一般", "太差!", "差"]}), n=4).round(2).tolist()
    [0.33, 1.0, 0.0]
    """
    runs, number = _shingles(_keys(test, key).tolist(), n)
    known, _ = _shingles(_keys(train, key).tolist(), n)
    row = np.repeat(np.arange(len(test)), number)
    seen = np.bincount(row, np.isin(runs, known), minlength=len(test))
    return overlap(train, test, key).astype(float).where(number == 0, seen / np.maximum(number, 1))


# ---- on a cluster ---------------------------------------------------------------------------------------------------


def clean_dask(frame, threshold=0.7, n=5):
    """`clean` on a Dask DataFrame: the same rows go, for the same reasons.

    frame   : Dask DataFrame with columns text, label and none named key, position, reason, token, else ValueError
    returns : Dask DataFrame like `frame`, in no particular order: texts normalised; `position`, the number of the row
              from 0 on; `reason`, "" where it stays
    method  : rows shuffle on their key, so that conflicts and exact repeats meet; then on the tokens of which near
              duplicates share one, so that these meet. Only rows that have a near duplicate come to the client, which
              applies the greedy rule to them in the order of their positions
    cost    : two shuffles; the second moves a text once for each of its first tokens that stands in all texts twice
    """
    import dask

    if taken := {"key", "position", "reason", "token"} & set(frame.columns):
        raise ValueError(f"rename the column {min(taken)!r}: clean_dask adds one of that name")
    frame = frame.assign(position=frame.assign(position=1)["position"].cumsum() - 1)
    rows = frame.map_partitions(_keyed, meta=_keyed(frame._meta)).shuffle("key")
    rows = rows.map_partitions(_all_but_near, meta=_all_but_near(rows._meta)).persist()
    live = rows[rows["reason"] == ""][["position", "text", "label"]]
    counts = 0
    for part in live.to_delayed():
        counts = dask.delayed(_count_more)(counts, part, n)
    tokens = live.map_partitions(_with_tokens, counts, threshold, n, meta=live._meta.assign(token=0)).shuffle("token")
    near = tokens.map_partitions(_with_relatives, threshold, n, meta=live._meta).compute()
    near = near.drop_duplicates("position").sort_values("position", kind="stable")
    reason = near_reasons(near, threshold, n)
    for name in (NEAR_CONFLICT, NEAR_REPEAT):
        gone = near["position"][reason == name].tolist()
        rows = rows.assign(reason=rows["reason"].mask(rows["position"].isin(gone), name))
    return rows


def _keyed(rows):
    rows = _normalised(rows)
    return rows.assign(key=_keys(rows, text_key))


def _all_but_near(rows):
    """The reasons of rows that have all rows of their keys with them."""
    rejected = cleaning.funnel(rows.sort_values("position", kind="stable").set_index("position"), STEPS)[1]
    reason = rejected["reason"].reindex(rows["position"], fill_value="").to_numpy()
    return rows.drop(columns="key").assign(reason=reason)


def _count_more(counts, rows, n):
    return counts + _counts(_shingles(rows["text"].tolist(), n)[0], bits=22)


def _with_tokens(rows, counts, threshold, n):
    token, row, _ = _prefixes(_sets(rows["text"].tolist(), threshold, n, counts), threshold)
    return rows.iloc[row].assign(token=token)


def _with_relatives(rows, threshold, n):
    """The rows that have a near duplicate among those they share a token with."""
    rows = rows[rows["token"].duplicated(keep=False)].drop_duplicates("position").drop(columns="token")
    family = pd.Series(_chains(rows["text"].tolist(), threshold, n), rows.index)
    return rows[family.duplicated(keep=False)]
