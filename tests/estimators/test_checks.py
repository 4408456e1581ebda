"""scikit-learn's own checks of estimators; all pass, but for two that say what weights are."""

import pytest
from sklearn.utils.estimator_checks import check_estimator

import hpsearch

NO_REPETITION = (
    "weights are those of a loss, as in Keras: a row of weight 2 is dealt to one fold, counts once "
    "in statistics, and takes no further steps"
)
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": NO_REPETITION,
    "check_sample_weight_equivalence_on_sparse_data": NO_REPETITION,
}


@pytest.mark.parametrize("name", ["SearchClassifier", "SearchRegressor"])
def test_a_search_passes_the_checks_of_estimators(name, search):
    check_estimator(
        getattr(hpsearch, name)(**search), on_skip=None, expected_failed_checks=EXPECTED
    )


@pytest.mark.parametrize("name", ["KerasClassifier", "KerasRegressor"])
def test_a_network_passes_the_checks_of_estimators(name, network):
    check_estimator(
        getattr(hpsearch, name)(**network), on_skip=None, expected_failed_checks=EXPECTED
    )
