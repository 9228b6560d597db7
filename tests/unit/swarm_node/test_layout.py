"""Layouts: every packed token has its place, sees its prompt and its own past, and long rows do not pad short ones."""

import torch

from swarm_node.layout import MOST_BUCKETS, Spans, bucket_rows, build

# prompts of 3 and 1 tokens, completions of 2, 1 and 3: packed as p p p a a b q c c c
SPANS = Spans([0, 6], [3, 1], [3, 5, 7], [2, 1, 3], [0, 0, 1])


def test_layout() -> None:
    layout = build(SPANS, 10, torch.device("cpu"), torch.float64)
    assert layout.prompt_index.tolist() == [[0, 1, 2], [6, 0, 0]]
    longest, middle, shortest = layout.buckets
    assert longest.own_index.tolist() == [[7, 8, 9]]
    assert longest.key_index.tolist() == [[6, 7, 8, 9]]  # the bucket's only prompt has one token
    assert (longest.mask[0, 0] == 0).int().tolist() == [[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    assert longest.mask.dtype is torch.float64
    assert middle.key_index.tolist() == [[0, 1, 2, 3, 4]]
    assert shortest.key_index.tolist() == [[0, 1, 2, 5]]
    # prompts fill rows 0-5 of the attention outputs, the buckets rows 6-8, 9-10 and 11
    assert layout.restore.tolist() == [0, 1, 2, 9, 10, 11, 3, 6, 7, 8]


def test_rows_of_one_bucket_are_padded_and_masked() -> None:
    spans = Spans([0, 4], [4, 2], [6, 10], [4, 3], [0, 1])
    (bucket,) = build(spans, 13, torch.device("cpu"), torch.float32).buckets
    assert bucket.own_index.tolist() == [[6, 7, 8, 9], [10, 11, 12, 0]]
    assert bucket.key_index.tolist() == [[0, 1, 2, 3, 6, 7, 8, 9], [4, 5, 0, 0, 10, 11, 12, 0]]
    assert (bucket.mask[1, 0, 2] == 0).int().tolist() == [1, 1, 0, 0, 1, 1, 1, 0]


def test_buckets_hold_similar_lengths() -> None:
    assert bucket_rows([100, 10, 80, 9, 40]) == [[0, 2], [4], [1, 3]]
    assert bucket_rows([7]) == [[0]]


def test_the_last_bucket_takes_what_is_left() -> None:
    lengths = [2**power for power in range(12)]
    buckets = bucket_rows(lengths)
    assert len(buckets) == MOST_BUCKETS
    assert sorted(row for rows in buckets for row in rows) == list(range(12))
