"""What all programs of a worker share on its device: the rows, and where words have weights."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hpsearch.engines.fit_data import read_fit_data, training_target
from hpsearch.engines.fused.inputs import shared_target
from hpsearch.engines.input_form import InputForm

if TYPE_CHECKING:
    from hpsearch.engines.fused.program import Table


@lru_cache(maxsize=2)
def table_on_device(data_path: str, target_form: str, n_classes: int) -> Table:
    """The rows on this process's device, once."""
    from hpsearch.engines.fused.program import Table
    from hpsearch.engines.network import Head

    data = read_fit_data(data_path)
    y = None
    if shared_target(data):
        head = Head(target_form, False, 0)  # type: ignore[arg-type]
        y = head.loss_target(training_target(data, data.statistics[0]), n_classes)
    return Table.of(data.encoded, data.layout, y, data.fold_rows)


@lru_cache(maxsize=1)
def places_on_device(data_path: str, position: int | None, form: InputForm) -> Any:
    """Where a fold's network, or that of all rows, has the words; kept from call to call."""
    from hpsearch.engines.fused.bags import Columns, places_of

    data = read_fit_data(data_path)
    columns = Columns.of(data.layout, form)
    assert data.bags is not None
    assert columns is not None
    statistics = data.refit_statistics if position is None else data.statistics[position]
    return places_of(data.bags, columns, statistics.word_slots)
