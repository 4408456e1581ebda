"""A small regression network for Boston housing: two layers of 64, RMSprop, squared error.

The defaults are the network that textbooks train on these 506 rows; the space varies its depth,
width, dropout, optimizer and learning rate around them. Expects standardized inputs.
"""


def declare(hp, problem):
    """Declare every hyperparameter; builds nothing and needs no backend."""
    hp.Int("n_layers", 1, 3, default=2)
    for layer in (1, 2, 3):
        with hp.conditional_scope("n_layers", list(range(layer, 4))):
            hp.Choice(f"units_{layer}", [16, 32, 64, 128], default=64)
    hp.Float("dropout", 0.0, 0.4, step=0.1, default=0.0)
    hp.Choice("optimizer", ["rmsprop", "adam"])
    hp.Float("learning_rate", 3e-4, 1e-2, sampling="log", default=1e-3)
    hp.Choice("batch_size", [16, 32, 64])


def build(hp, problem):
    """The compiled network of one configuration."""
    import keras

    declare(hp, problem)
    model = keras.Sequential([keras.Input(problem.input_shape)])
    if len(problem.input_shape) > 1:
        model.add(keras.layers.Flatten())
    for layer in range(1, hp.get("n_layers") + 1):
        model.add(keras.layers.Dense(hp.get(f"units_{layer}"), activation="relu"))
        model.add(keras.layers.Dropout(hp.get("dropout")))
    model.add(keras.layers.Dense(problem.n_outputs, activation=problem.output_activation))
    optimizers = {"rmsprop": keras.optimizers.RMSprop, "adam": keras.optimizers.Adam}
    optimizer = optimizers[hp.get("optimizer")](hp.get("learning_rate"))
    model.compile(optimizer=optimizer, loss=problem.loss)
    return model
