"""Stop strings: a completion ends with the token that completes one of them.

While rows run, only the end of each is decoded (`ended`); the exact place is found once per finished row (`cut`), so a
row that was seen late is still cut at the right token. Works with `policy` and `hf_generate`.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Any

_SLACK = 8  # tokens before the string: a decoder may swallow a leading blank or see half a character


class StopStrings:
    """The strings that end a completion, empty for none. Special tokens are no text and never match."""

    def __init__(self, tokenizer: Any, strings: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._strings = tuple(strings)
        self._special = set(tokenizer.all_special_ids) if strings else set()
        # a token is at least one byte of text, so so many reach over the longest string
        self._window = max((len(text.encode()) for text in strings), default=0) + _SLACK

    def __bool__(self) -> bool:
        return bool(self._strings)

    def reach(self, new: int = 1) -> int:
        """How many last tokens of a row `ended` needs to see."""
        return 2 * (self._window + new)  # some of them may be special tokens

    def ended(self, rows: Sequence[Sequence[int]], new: int = 1) -> list[bool]:
        """Whether each row of token ids holds a stop string that its last `new` tokens completed."""
        tails = []
        for row in rows:
            text = [token for token in row[-self.reach(new) :] if token not in self._special]
            tails.append(text[-(self._window + new) :])
        return [self.found_in(text) for text in self.decode(tails)]

    def found_in(self, text: str) -> bool:
        """Whether `text` holds a stop string."""
        return self._end(text) is not None

    def cut(self, ids: Sequence[int]) -> tuple[int, str] | None:
        """How many tokens of `ids` are kept, and their text up to the end of the stop string; None without one."""

        def holds(count: int) -> bool:
            return self.found_in(self.decode([ids[:count]])[0])

        if not holds(len(ids)):
            return None

        count = 1 + bisect.bisect_left(range(1, len(ids) + 1), True, key=holds)
        text = self.decode([ids[:count]])[0]
        return count, text[: self._end(text)]

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """The text of each row, special tokens left out."""
        texts = self._tokenizer.batch_decode(rows, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return list(texts)

    def _end(self, text: str) -> int | None:
        """Where the first stop string to end in `text` ends."""
        ends = [place + len(stop) for stop in self._strings if (place := text.find(stop)) >= 0]
        return min(ends, default=None)
