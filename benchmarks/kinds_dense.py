"""Networks of ``kinds.py`` that are fused: of words, and of sequences."""


def of_words(hp, problem):
    """Two Dense of a width on which words occur, with RMSprop."""
    import keras

    width = hp.Int("width", 1, 256, default=16)
    return compiled(
        problem,
        [keras.layers.Dense(width, "relu"), keras.layers.Dense(width, "relu")],
        keras.optimizers.RMSprop(hp.Float("rate", 1e-5, 1.0, default=1e-3)),
    )


def of_tokens(hp, problem):
    """An embedding of the words in their order, and the mean of those that are there."""
    import keras

    layers = [
        keras.layers.Embedding(2_002, 32, mask_zero=True),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(32, "relu"),
    ]
    return compiled(problem, layers, adam(hp))


def of_sequences(hp, problem):
    """One LSTM."""
    import keras

    return compiled(problem, [keras.layers.LSTM(32)], adam(hp))


def of_uneven_sequences(hp, problem):
    """One GRU that leaves padding out, of any number of steps."""
    import keras

    layers = [keras.layers.Masking(), keras.layers.GRU(32)]
    return compiled(problem, layers, adam(hp), shape=(None, problem.input_shape[1]))


def adam(hp):
    import keras

    return keras.optimizers.Adam(hp.Float("rate", 1e-5, 1.0, default=1e-3))


def compiled(problem, layers, optimizer, shape=None):
    import keras

    output = keras.layers.Dense(problem.n_outputs, activation=problem.output_activation)
    model = keras.Sequential([keras.Input(shape or problem.input_shape), *layers, output])
    model.compile(optimizer=optimizer, loss=problem.loss)
    return model
