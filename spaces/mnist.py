"""A dense network for MNIST digits: the image flattened, one layer of 512, RMSprop, batches of 128.

The defaults are the network that textbooks begin with; the space varies its width, depth,
dropout, optimizer and learning rate around them. Expects pixels between 0 and 1.
"""


def declare(hp, problem):
    """Declare every hyperparameter; builds nothing and needs no backend."""
    hp.Int("n_layers", 1, 2, default=1)
    hp.Choice("units", [128, 256, 512], default=512)
    hp.Choice("dropout", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5], default=0.0)
    hp.Choice("optimizer", ["rmsprop", "adam"])
    hp.Float("learning_rate", 3e-4, 3e-3, sampling="log", default=1e-3)
    hp.Choice("batch_size", [128, 64, 256])


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
