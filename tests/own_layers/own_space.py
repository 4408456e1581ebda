"""A space of layers of its own, some of them in a module beside it."""

import keras
from parts import Shrink, swishy


@keras.saving.register_keras_serializable(package="mine")
class Block(keras.layers.Layer):
    """A residual block with batch normalisation."""

    def __init__(self, units, factor=0.5, **options):
        super().__init__(**options)
        self.units, self.factor = units, factor
        self.first = keras.layers.Dense(units, activation=swishy, kernel_regularizer=Shrink(0.01))
        self.normal = keras.layers.BatchNormalization()
        self.last = keras.layers.Dense(units)

    def build(self, shape):
        self.first.build(shape)
        self.normal.build((None, self.units))
        self.last.build((None, self.units))

    def call(self, x, training=False):
        hidden = self.normal(self.first(x), training=training)
        return self.last(hidden) * self.factor + self.first(x)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "factor": self.factor}


def declare(hp, problem):
    hp.Choice("units", [4, 8])


def build(hp, problem):
    declare(hp, problem)
    layers = [
        keras.Input(problem.input_shape),
        Block(hp.get("units")),
        keras.layers.Dense(problem.n_outputs, activation=problem.output_activation),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", problem.loss)
    return model
