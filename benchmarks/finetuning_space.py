"""The network of the two-phase case, from scratch: what ``finetuning.py`` compares with."""


def declare(hp, problem):
    """Declare every hyperparameter; builds nothing and needs no backend."""
    hp.Choice("head_units", [0, 32, 128], default=0)
    hp.Choice("head_dropout", [0.0, 0.2, 0.5], default=0.2)
    hp.Float("rate", 3e-4, 1e-2, sampling="log", default=3e-3)
    hp.Choice("batch_size", [8, 16, 32], default=16)


def network(n_outputs, activation, head_units=0, head_dropout=0.0):
    """A small convolutional network for images of 8 x 8."""
    import keras

    layers = keras.layers
    head = [layers.Dense(head_units, "relu")] if head_units else []
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(32, "relu"),
            *head,
            layers.Dropout(head_dropout),
            layers.Dense(n_outputs, activation=activation),
        ]
    )


def build(hp, problem):
    """The compiled network of one configuration."""
    import keras

    declare(hp, problem)
    model = network(
        problem.n_outputs,
        problem.output_activation,
        hp.get("head_units"),
        hp.get("head_dropout"),
    )
    model.compile(keras.optimizers.Adam(hp.get("rate")), problem.loss)
    return model
