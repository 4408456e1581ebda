"""The space of ``search_quality.py``: few structures, so that little time goes into compiling."""

BATCH = 32


def declare(hp, problem):
    """Width, dropout, L2, optimizer, learning rate and its schedule."""
    return {
        "units": hp.Choice("units", [16, 64]),
        "dropout": hp.Float("dropout", 0.01, 0.6, default=0.1),
        "l2": hp.Float("l2", 1e-6, 1e-1, sampling="log", default=1e-4),
        "optimizer": hp.Choice("optimizer", ["adam", "sgd"]),
        "rate": hp.Float("rate", 1e-4, 1e-1, sampling="log", default=1e-3),
        "schedule": hp.Choice("schedule", ["constant", "cosine"]),
    }


def build(hp, problem):
    """One hidden layer with a penalty and dropout."""
    import keras

    chosen = declare(hp, problem)
    penalty = keras.regularizers.L2(chosen["l2"])
    layers = [
        keras.Input(problem.input_shape),
        keras.layers.Dense(chosen["units"], "relu", kernel_regularizer=penalty),
        keras.layers.Dropout(chosen["dropout"]),
        keras.layers.Dense(problem.n_outputs, problem.output_activation),
    ]
    rate = chosen["rate"]
    if chosen["schedule"] == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, problem.total_steps(BATCH))
    if chosen["optimizer"] == "adam":
        optimizer = keras.optimizers.Adam(rate)
    else:
        optimizer = keras.optimizers.SGD(rate, momentum=0.9)
    model = keras.Sequential(layers)
    model.compile(optimizer=optimizer, loss=problem.loss)
    return model
