"""The network that the benchmarks train, two hidden layers of one width, and a space of it.

The file is a space by itself, so that it can be given wherever hpsearch takes one.
"""


def two_layers(input_shape, n_outputs, activation, loss, rate=1e-3, width=64, metrics=None):
    """The compiled network, with Adam at a learning rate."""
    import keras

    layers = [
        keras.Input(input_shape),
        keras.layers.Dense(width, activation="relu"),
        keras.layers.Dense(width, activation="relu"),
        keras.layers.Dense(n_outputs, activation=activation),
    ]
    model = keras.Sequential(layers)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss=loss, metrics=metrics)
    return model


def declare(hp, problem):
    """The space: a learning rate, and a width that is held."""
    return {
        "rate": hp.Float("rate", 1e-4, 1e-1, sampling="log", default=1e-3),
        "width": hp.Int("width", 1, 4096, default=64),
    }


def build(hp, problem):
    """The network of a configuration, for a problem."""
    return two_layers(
        problem.input_shape,
        problem.n_outputs,
        problem.output_activation,
        problem.loss,
        **declare(hp, problem),
    )
