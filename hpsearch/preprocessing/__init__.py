"""Preprocessing: stateless encoding, and statistics of training rows; the two never mix."""

from hpsearch.preprocessing.bags import Bags
from hpsearch.preprocessing.design import design_rows
from hpsearch.preprocessing.encoding import Encoded, Layout, beside_prepared, encode
from hpsearch.preprocessing.inputs import Inputs
from hpsearch.preprocessing.ranges import RawRange, raw_range
from hpsearch.preprocessing.statistics import Statistics, fit_statistics, per_exposure
from hpsearch.preprocessing.weights import LossWeights, fit_loss_weights

__all__ = [
    "Bags",
    "Encoded",
    "Inputs",
    "Layout",
    "LossWeights",
    "RawRange",
    "Statistics",
    "beside_prepared",
    "design_rows",
    "encode",
    "fit_loss_weights",
    "fit_statistics",
    "per_exposure",
    "raw_range",
]
