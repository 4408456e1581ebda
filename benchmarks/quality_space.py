"""The space of ``search_quality.py``: few structures, so that little time goes into compiling."""

BATCH = 32


def declare(hp, problem):
    """Width, depth, dropout, L2, optimizer, learning rate and its schedule."""
    return {
        "units": hp.Choice("units", [16, 64]),
        "layers": hp.Choice("layers", [1, 2]),
        "dropout": hp.Float("dropout", 0.01, 0.6, default=0.1),
        "l2": hp.Float("l2", 1e-6, 1e-1, sampling="log", default=1e-4),
        "optimizer": hp.Choice("optimizer", ["adam", "sgd"]),
        "rate": hp.Float("rate", 1e-4, 1e-1, sampling="log", default=1e-3),
        "schedule": hp.Choice("schedule", ["constant", "cosine"]),
    }


def build(hp, problem):
    """Dense layers with dropout and a penalty."""
    import keras

    chosen = declare(hp, problem)
    model = keras.Sequential([keras.Input(problem.input_shape)])
    for _ in range(chosen["layers"]):
        penalty = keras.regularizers.L2(chosen["l2"])
        model.add(keras.layers.Dense(chosen["units"], "relu", kernel_regularizer=penalty))
        model.add(keras.layers.Dropout(chosen["dropout"]))
    model.add(keras.layers.Dense(problem.n_outputs, problem.output_activation))
    rate = chosen["rate"]
    if chosen["schedule"] == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, problem.total_steps(BATCH))
    optimizer = {
        "adam": keras.optimizers.Adam,
        "sgd": lambda r: keras.optimizers.SGD(r, momentum=0.9),
    }[chosen["optimizer"]](rate)
    model.compile(optimizer=optimizer, loss=problem.loss)
    return model
