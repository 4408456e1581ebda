"""A small network for Reuters newswires as multi-hot words: two layers of 64, 46 topics.

The defaults are the network that textbooks train for this problem with many classes: RMSprop and
batches of 512. Hidden layers narrower than the number of topics lose information, so the space
varies the width upwards, and the dropout and learning rate with it.
"""


def declare(hp, problem):
    """Declare every hyperparameter; builds nothing and needs no backend."""
    hp.Int("n_layers", 1, 3, default=2)
    hp.Choice("units", [32, 64, 128, 256], default=64)
    hp.Choice("dropout", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6], default=0.0)
    hp.Choice("optimizer", ["rmsprop", "adam"])
    hp.Float("learning_rate", 3e-4, 1e-2, sampling="log", default=1e-3)
    hp.Choice("batch_size", [512, 256, 128])


def build(hp, problem):
    """The compiled network of one configuration."""
    import keras

    declare(hp, problem)
    model = keras.Sequential([keras.Input(problem.input_shape)])
    if len(problem.input_shape) > 1:
        model.add(keras.layers.Flatten())
    for _ in range(hp.get("n_layers")):
        model.add(keras.layers.Dense(hp.get("units"), activation="relu"))
        model.add(keras.layers.Dropout(hp.get("dropout")))
    model.add(keras.layers.Dense(problem.n_outputs, activation=problem.output_activation))
    optimizers = {"rmsprop": keras.optimizers.RMSprop, "adam": keras.optimizers.Adam}
    optimizer = optimizers[hp.get("optimizer")](hp.get("learning_rate"))
    model.compile(optimizer=optimizer, loss=problem.loss)
    return model
