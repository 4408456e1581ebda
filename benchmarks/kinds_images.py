"""Networks of ``kinds.py`` with convolutions: a file of their own, since hpsearch looks into it."""

from kinds_dense import adam, compiled


def of_small_images(hp, problem):
    """Two convolutions for images of 8 x 8."""
    import keras

    layers = [
        keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
    ]
    return compiled(problem, layers, adam(hp))


def of_changed_images(hp, problem):
    """The same for images that are shifted and turned while they train."""
    import keras

    layers = [
        keras.layers.RandomTranslation(0.1, 0.1, fill_mode="nearest"),
        keras.layers.RandomRotation(0.05, fill_mode="nearest"),
        keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
    ]
    return compiled(problem, layers, adam(hp))


def of_images(hp, problem):
    """The textbook network for images of 28 x 28."""
    import keras

    layers = [
        keras.layers.Conv2D(32, 3, activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Conv2D(64, 3, activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Conv2D(64, 3, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(64, activation="relu"),
    ]
    return compiled(problem, layers, adam(hp))


def of_mean_colours(hp, problem):
    """A dense layer on an image's mean of each channel, which hardly computes."""
    import keras

    return compiled(problem, [keras.layers.GlobalAveragePooling2D()], adam(hp))
