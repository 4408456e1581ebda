"""A schedule's learning rates as a table, so that one traced network trains by several schedules.

Tracing a network takes a second, tabulating a schedule some hundredths.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from hpsearch.engines.rates import is_schedule


class RateTable(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Takes the place of an optimizer's schedule and gives whatever rates it was last filled with.

    Parameters
    ----------
    like : the schedule, whose rates are of one dtype with those of the table.
    """

    def __init__(self, like: Any) -> None:
        first = tf.convert_to_tensor(like(tf.constant(0, tf.int64)))
        self._rates = tf.Variable(first[None], trainable=False, shape=[None])

    def __call__(self, step: Any) -> Any:
        """The rate of a step, from 0."""
        return tf.gather(self._rates, tf.convert_to_tensor(step))

    def fill(self, rate: Any, n_steps: int, *, eagerly: bool) -> None:
        """Take the rates of so many steps.

        Parameters
        ----------
        rate : a schedule, or a variable.
        eagerly : whether the schedule is called step by step, as a network asks for that does not
            run as a graph.
        """
        dtype = self._rates.dtype
        if not is_schedule(rate):
            self._rates.assign(tf.fill([n_steps], tf.cast(float(rate), dtype)))
            return

        def of_steps(steps: Any) -> Any:
            return tf.map_fn(
                lambda step: tf.cast(rate(step), dtype), steps, fn_output_signature=dtype
            )

        tabulate = of_steps if eagerly else tf.function(of_steps, autograph=False)
        self._rates.assign(tabulate(tf.range(n_steps, dtype=tf.int64)))
