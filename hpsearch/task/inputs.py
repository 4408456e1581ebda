"""What a network's named input holds: ``problem.inputs[name]``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Input:
    """What a network gets at an input of a known name.

    Attributes
    ----------
    shape : of one row, without the batch axis.
    dtype : ``float32``, or ``int32`` for codes.
    n_codes : codes go from 0 to ``n_codes - 1``, which is what an ``Embedding`` has to know; 0 is
        what training rows never held, or padding. 0 where the input holds quantities.
    is_bag : whether it holds a bag of words: 1 for each word that a row has.
    is_tokens : whether it holds a row's words in their order, by number: 0 is padding behind the
        last one (``mask_zero`` of an ``Embedding``), 1 a word that the training rows don't know.

    Examples
    --------
    >>> Input((3,), "int32", 12).n_codes
    12
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    n_codes: int = 0
    is_bag: bool = False
    is_tokens: bool = False
