"""A space of small convolutional networks, whose hyperparameters are found by building them."""


def build(hp):
    """The compiled network of one configuration, for images of 8 x 8 pixels in ten classes."""
    import keras

    filters = hp.Choice("filters", [4, 8])
    rate = hp.Float("rate", 1e-3, 1e-1, sampling="log", default=1e-2)
    layers = [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(filters, 3, activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Flatten(),
        keras.layers.Dropout(hp.Choice("dropout", [0.0, 0.25])),
        keras.layers.Dense(10, activation="softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy")
    return model
