"""A space for sequences of steps: recurrent layers (LSTM, GRU), or convolutions over the steps.

Steps that are padding are left out: Keras's ``Masking`` hides them from recurrent layers, and what
convolutions give there is set to zero, so that padding never changes what a sequence gives. The
network takes sequences of any length, longer ones than it was trained on, too.

A convolution is written as a dense layer of neighbouring steps, which it is: so it trains beside
recurrent layers, as one program for all folds, and needs no convolution of the processor.

Where a table has other columns too, each sequence is read by itself, and what was read is joined
by numbers, categories and words. A row of single numbers alone is read as steps of one feature
each, an image row by row.
"""

import math

UNITS = [16, 32, 64, 128]
DROPOUTS = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
BATCH_SIZES = [16, 32, 64, 128]
RECURRENT = ["gru", "lstm"]
DECAYING_SCHEDULES = ["cosine", "warmup_cosine"]

LARGEST_GRADIENT = 1.0
"""Norm of all gradients beyond which a step is shortened: those over many steps can explode."""


def declare(hp, problem):
    """Declare every hyperparameter; builds nothing and needs no backend."""
    hp.Choice("layer", [*RECURRENT, "convolution"])
    hp.Int("n_layers", 1, 3, default=1)
    hp.Choice("units", UNITS, default=32)
    with hp.conditional_scope("layer", RECURRENT):
        hp.Boolean("bidirectional", default=False)
    with hp.conditional_scope("layer", ["convolution"]):
        hp.Choice("kernel_size", [3, 5, 7], default=5)
        hp.Choice("pooling", ["max", "average"])
    hp.Choice("dropout", DROPOUTS, default=0.1)
    hp.Choice("optimizer", ["adam", "adamw", "rmsprop"])
    hp.Float("learning_rate", 3e-4, 2e-2, sampling="log", default=3e-3)
    with hp.conditional_scope("optimizer", ["adamw"]):
        hp.Float("weight_decay", 1e-4, 1e-1, sampling="log", default=4e-3)
    hp.Choice("schedule", ["constant", *DECAYING_SCHEDULES])
    with hp.conditional_scope("schedule", DECAYING_SCHEDULES):
        hp.Float("final_rate_fraction", 1e-2, 0.5, sampling="log", default=0.1)
    sizes = [size for size in BATCH_SIZES if size <= problem.n_train] or [problem.n_train]
    hp.Choice("batch_size", sizes, default=32 if 32 in sizes else sizes[-1])


def build(hp, problem):
    """The compiled network of one configuration."""
    import keras

    declare(hp, problem)
    names = sequences_among(problem)
    if names and len(problem.input_shape) == 1:
        inputs, summary = of_several_inputs(hp, problem, names)
    else:
        inputs, summary = of_one_input(hp, problem.input_shape)
    summary = keras.layers.Dropout(hp.get("dropout"))(summary)
    last = keras.layers.Dense(problem.n_outputs, activation=problem.output_activation)
    model = keras.Model(inputs, last(summary))
    model.compile(optimizer=optimizer(hp, learning_rate(hp, problem)), loss=problem.loss)
    return model


def sequences_among(problem):
    """Names of the inputs that are sequences, each column's once."""
    kinds = ("sequence", "image", "prepared")
    found = [name for name, each in problem.inputs.items() if len(each.shape) == 2]
    return [name for name in found if name not in kinds] or [n for n in found if n == "sequence"]


def of_one_input(hp, shape):
    """The input of rows of one shape, and what is read of it."""
    import keras

    inputs = keras.Input((None, shape[1]) if len(shape) == 2 else shape)
    steps = inputs
    if len(shape) == 1:
        steps = keras.layers.Reshape((shape[0], 1))(inputs)
    elif len(shape) > 2:
        steps = keras.layers.Reshape((shape[0], math.prod(shape[1:])))(inputs)
    return inputs, summary_of(hp, steps, pads=len(shape) == 2)


def of_several_inputs(hp, problem, names):
    """Inputs by name: sequences, and what else the table has; and what is read of all of them."""
    import keras

    inputs, parts = [], []
    for name in names:
        inputs.append(keras.Input((None, problem.inputs[name].shape[1]), name=name))
        parts.append(summary_of(hp, inputs[-1], pads=True))
    others = {"numbers": "numbers", "categories": "categories.onehot", "words": "words"}
    for kind, name in others.items():
        if kind in problem.inputs:
            inputs.append(keras.Input(problem.inputs[name].shape, name=name))
            parts.append(keras.layers.Dense(hp.get("units"), activation="relu")(inputs[-1]))
    return inputs, keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]


def summary_of(hp, steps, *, pads):
    """What is read of the steps of a sequence."""
    read = convolutions if hp.get("layer") == "convolution" else recurrent_layers
    return read(hp, steps, pads=pads)


def recurrent_layers(hp, steps, *, pads):
    """What the last of some recurrent layers gives at the end of a sequence."""
    import keras

    kind = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}[hp.get("layer")]
    if pads:
        steps = keras.layers.Masking()(steps)
    for number in range(hp.get("n_layers")):
        is_last = number == hp.get("n_layers") - 1
        if number:
            steps = keras.layers.Dropout(hp.get("dropout"))(steps)
        layer = kind(hp.get("units"), return_sequences=not is_last)
        steps = (keras.layers.Bidirectional(layer) if hp.get("bidirectional") else layer)(steps)
    return steps


def convolutions(hp, steps, *, pads):
    """Convolutions over the steps, and the largest or the mean value of each of their features."""
    import keras

    # Masking tells zeros from steps; here its answer is needed without a mask on the tensor.
    there = keras.ops.any(keras.ops.not_equal(steps, 0.0), axis=-1) if pads else None
    for number in range(hp.get("n_layers")):
        if number:
            steps = keras.layers.Dropout(hp.get("dropout"))(steps)
        neighbours = with_neighbours(steps, hp.get("kernel_size"))
        steps = keras.layers.Dense(
            hp.get("units"), activation="relu", kernel_initializer="he_normal"
        )(neighbours)
        if pads:
            steps = keras.ops.where(keras.ops.expand_dims(there, -1), steps, 0.0)
    if hp.get("pooling") == "max":
        return keras.layers.GlobalMaxPooling1D()(steps)  # of numbers above 0, as padding is not
    pooled = keras.layers.GlobalAveragePooling1D()
    return pooled(steps, mask=there) if pads else pooled(steps)


def with_neighbours(steps, size):
    """Each step with those beside it, ``size`` in all, zeros beyond the ends: (steps, size * F)."""
    import keras

    margin = size // 2
    wide = keras.layers.ZeroPadding1D(margin)(steps)
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

    limits = {"global_clipnorm": LARGEST_GRADIENT}
    if hp.get("optimizer") == "adamw":
        return optimizers.AdamW(rate, weight_decay=hp.get("weight_decay"), **limits)
    if hp.get("optimizer") == "rmsprop":
        return optimizers.RMSprop(rate, **limits)
    return optimizers.Adam(rate, **limits)
