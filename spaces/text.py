"""A space for texts whose words are read in their order: an embedding, then pooling.

``--text note --as tokens`` gives the words' numbers. Each word gets a vector; convolutions, where
there are some, look at neighbouring words; the mean or the largest of each feature over the text
goes on. Padding behind a text's last word is left out of all of it. Numbers join the features of
the texts, and so do categories, each level by a vector of its own, and bags of words of other
columns. Images and sequences beside them are not read.

A convolution is written as a dense layer of neighbouring words, which it is: so it trains beside
others as one program for all folds.
"""

WIDTHS = [8, 16, 32, 64, 128]
UNITS = [16, 32, 64, 128]
DROPOUTS = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
BATCH_SIZES = [16, 32, 64, 128]
DECAYING_SCHEDULES = ["cosine", "warmup_cosine"]

LOWEST = -1e4
"""What padding holds where the largest value is taken; no word's feature comes near, and half
precision has it."""

BESIDE = ("numbers", "prepared")
"""Inputs that join the texts' features as they are."""

WIDTH_OF_BAGS = 32
"""Features that bags of words, of other columns of text, become before they join."""

LEVEL_WIDTH = 8
"""Length of a category level's vector."""


def declare(hp, problem):
    """Declare every hyperparameter; builds nothing and needs no backend."""
    texts(problem)
    hp.Choice("embedding", WIDTHS, default=32)
    hp.Int("convolutions", 0, 2, default=1)
    with hp.conditional_scope("convolutions", [1, 2]):
        hp.Choice("filters", UNITS, default=64)
        hp.Choice("kernel_size", [3, 5], default=3)
    hp.Choice("pooling", ["mean", "max", "both"], default="max")
    hp.Choice("units", [0, *UNITS], default=32)
    hp.Choice("dropout", DROPOUTS, default=0.2)
    hp.Choice("optimizer", ["adam", "adamw", "rmsprop"])
    hp.Float("learning_rate", 3e-4, 3e-2, sampling="log", default=5e-3)
    with hp.conditional_scope("optimizer", ["adamw"]):
        hp.Float("weight_decay", 1e-4, 1e-1, sampling="log", default=4e-3)
    hp.Choice("schedule", ["constant", *DECAYING_SCHEDULES])
    with hp.conditional_scope("schedule", DECAYING_SCHEDULES):
        hp.Float("final_rate_fraction", 1e-2, 0.5, sampling="log", default=0.1)
    sizes = [size for size in BATCH_SIZES if size <= problem.n_train] or [problem.n_train]
    hp.Choice("batch_size", sizes, default=32 if 32 in sizes else sizes[-1])


def texts(problem):
    """The names of the inputs that hold words in their order."""
    if "tokens" in problem.inputs:
        return ["tokens"]
    names = [name for name, found in problem.inputs.items() if found.is_tokens]
    if not names:
        raise ValueError(
            "the space text needs words in their order, and the table has no such column. Name a "
            "column of text with --text and add --as tokens, or choose another space"
        )
    return names


def build(hp, problem):
    """The compiled network of one configuration."""
    import keras

    declare(hp, problem)
    inputs, features = [], []
    for name in texts(problem):
        inputs.append(named(problem, name))
        features += summary(hp, inputs[-1], problem.inputs[name].n_codes)
    for name in [name for name in BESIDE if name in problem.inputs]:
        inputs.append(named(problem, name))
        features.append(keras.layers.Flatten()(inputs[-1]))
    if "words" in problem.inputs:
        inputs.append(named(problem, "words"))
        features.append(keras.layers.Dense(WIDTH_OF_BAGS, activation="relu")(inputs[-1]))
    if "categories" in problem.inputs:
        inputs.append(named(problem, "categories"))
        n_codes = problem.inputs["categories"].n_codes
        levels = keras.layers.Embedding(n_codes, LEVEL_WIDTH)(inputs[-1])
        features.append(keras.layers.Flatten()(levels))
    rows = keras.layers.Concatenate()(features) if len(features) > 1 else features[0]
    rows = keras.layers.Dropout(hp.get("dropout"))(rows)
    if hp.get("units"):
        rows = keras.layers.Dense(hp.get("units"), activation="relu")(rows)
        rows = keras.layers.Dropout(hp.get("dropout"))(rows)
    last = keras.layers.Dense(problem.n_outputs, activation=problem.output_activation)
    model = keras.Model(inputs if len(inputs) > 1 else inputs[0], last(rows))
    model.compile(optimizer=optimizer(hp, learning_rate(hp, problem)), loss=problem.loss)
    return model


def named(problem, name):
    """The input of this name; Keras allows no ``/`` in one."""
    import keras

    found = problem.inputs[name]
    return keras.Input(found.shape, dtype=found.dtype, name=name.replace("/", "_"))


def summary(hp, words, n_codes):
    """The mean, the largest, or both, of each feature over the words of a text."""
    import keras

    there = keras.ops.expand_dims(keras.ops.not_equal(words, 0), -1)
    steps = keras.layers.Embedding(n_codes, hp.get("embedding"))(words)
    for _ in range(hp.get("convolutions")):
        known = keras.ops.where(there, steps, 0.0)
        dense = keras.layers.Dense(
            hp.get("filters"), activation="relu", kernel_initializer="he_normal"
        )
        steps = dense(with_neighbours(known, hp.get("kernel_size")))
    found = []
    if hp.get("pooling") != "max":
        sums = keras.ops.sum(keras.ops.where(there, steps, 0.0), axis=1)
        found.append(sums / keras.ops.sum(keras.ops.cast(there, steps.dtype), axis=1))
    if hp.get("pooling") != "mean":
        found.append(keras.ops.max(keras.ops.where(there, steps, LOWEST), axis=1))
    return found


def with_neighbours(steps, size):
    """Each step with those beside it, ``size`` in all, zeros beyond the ends: (steps, size * F)."""
    import keras

    wide = keras.layers.ZeroPadding1D(size // 2)(steps)
    parts = [wide[:, first : first + 1 - size or None] for first in range(size)]
    return keras.layers.Concatenate()(parts)


def learning_rate(hp, problem):
    """The learning rate, or the schedule that it starts."""
    from keras.optimizers import schedules

    rate = hp.get("learning_rate")
    if hp.get("schedule") == "constant":
        return rate
    steps, final = problem.total_steps(hp.get("batch_size")), hp.get("final_rate_fraction")
    if hp.get("schedule") == "cosine":
        return schedules.CosineDecay(rate, steps, alpha=final)
    warmup = max(1, round(0.1 * steps))
    return schedules.CosineDecay(
        rate / 10,
        max(1, steps - warmup),
        alpha=final,
        warmup_target=rate,
        warmup_steps=warmup,
    )


def optimizer(hp, rate):
    """The optimizer at this learning rate."""
    from keras import optimizers

    if hp.get("optimizer") == "adamw":
        return optimizers.AdamW(rate, weight_decay=hp.get("weight_decay"))
    if hp.get("optimizer") == "rmsprop":
        return optimizers.RMSprop(rate)
    return optimizers.Adam(rate)
