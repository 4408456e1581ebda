"""What all replicas of a search share."""

from hpsearch.engines.fit_data import smallest_training_set
from hpsearch.folds import Fold


def test_the_smallest_training_set_does_not_depend_on_the_number_of_repeats():
    folds = [Fold(r, f, range(10 - r - f), [20]) for r in range(3) for f in range(2)]
    assert smallest_training_set(folds) == smallest_training_set(folds[:2]) == 9
