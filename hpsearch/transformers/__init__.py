"""A preprocessing of one's own: a transformer of scikit-learn's, fitted fold by fold."""

from hpsearch.transformers.fitting import Fitted, RawRows, fit_rows
from hpsearch.transformers.own import OwnTransformer

__all__ = ["Fitted", "OwnTransformer", "RawRows", "fit_rows"]
