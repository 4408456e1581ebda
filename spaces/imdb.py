"""A small network for IMDB reviews as multi-hot words: two layers of 16, RMSprop, batches of 512.

The defaults are the network that textbooks train for this binary problem. It overfits within a
few epochs, so the space varies its width, depth, dropout and L2 penalty around them.
"""


def declare(hp, problem):
    """Declare every hyperparameter; builds nothing and needs no backend."""
    hp.Int("n_layers", 1, 3, default=2)
    hp.Choice("units", [4, 8, 16, 32, 64], default=16)
    hp.Choice("dropout", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6], default=0.0)
    hp.Choice("regularization", ["none", "l2"])
    with hp.conditional_scope("regularization", ["l2"]):
        hp.Float("l2", 1e-5, 1e-2, sampling="log", default=1e-3)
    hp.Float("learning_rate", 3e-4, 3e-3, sampling="log", default=1e-3)
    hp.Choice("batch_size", [512, 256, 128])


def build(hp, problem):
    """The compiled network of one configuration."""
    import keras

    declare(hp, problem)
    strength = hp.get("l2") if hp.get("regularization") == "l2" else 0.0
    model = keras.Sequential([keras.Input(problem.input_shape)])
    if len(problem.input_shape) > 1:
        model.add(keras.layers.Flatten())
    for _ in range(hp.get("n_layers")):
        model.add(
            keras.layers.Dense(
                hp.get("units"),
                activation="relu",
                kernel_regularizer=keras.regularizers.L2(strength),
            )
        )
        model.add(keras.layers.Dropout(hp.get("dropout")))
    model.add(keras.layers.Dense(problem.n_outputs, activation=problem.output_activation))
    optimizer = keras.optimizers.RMSprop(hp.get("learning_rate"))
    model.compile(optimizer=optimizer, loss=problem.loss)
    return model
