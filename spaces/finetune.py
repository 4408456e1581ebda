"""A network that is trained already goes on with a new head: the head alone, then its end too.

The base is a ``.keras`` file of a network with one input, whose rows have the shape of yours:
``--fix base=FILE``, with its whole path. Its last layers with weights go, ``dropped_layers`` of
them: one, what it was trained to tell, or none where it was saved without. What is left is frozen
in the first phase, and its last layers with weights, ``late_layers`` of them, learn slowly in the
second one; batch normalisation in it stays in inference mode. Searched are the head, both learning
rates, and how much of the base stays and learns.
"""


def declare(hp, problem):
    """Declare every hyperparameter; builds nothing and needs no backend."""
    hp.Fixed("base", "base.keras")
    hp.Choice("dropped_layers", [0, 1, 2], default=1)
    hp.Choice("late_layers", [1, 3, 6], default=3)
    hp.Choice("head_units", [0, 32, 128], default=0)
    hp.Choice("head_dropout", [0.0, 0.2, 0.5], default=0.2)
    hp.Float("head_rate", 3e-4, 1e-2, sampling="log", default=3e-3)
    hp.Float("late_rate", 1e-3, 3e-2, sampling="log", default=1e-2)
    hp.Choice("head_share", [0.3, 0.5, 0.7], default=0.3)
    hp.Choice("batch_size", [8, 16, 32], default=16)


def build(hp, problem):
    """The compiled network of one configuration: ``early``, ``late`` and the head."""
    import keras

    declare(hp, problem)
    early, late = _halves(*(hp.get(name) for name in ("base", "dropped_layers", "late_layers")))
    rows = keras.Input(problem.input_shape)
    hidden = late(early(rows))
    if len(hidden.shape) > 2:
        hidden = keras.layers.Flatten(name="head_flatten")(hidden)
    if hp.get("head_units"):
        hidden = keras.layers.Dense(hp.get("head_units"), "relu", name="head_hidden")(hidden)
    hidden = keras.layers.Dropout(hp.get("head_dropout"), name="head_dropout")(hidden)
    last = keras.layers.Dense(
        problem.n_outputs, activation=problem.output_activation, name="head_last"
    )
    model = keras.Model(rows, last(hidden))
    model.compile(keras.optimizers.Adam(hp.get("head_rate")), problem.loss)
    return model


def phases(hp, problem):
    """The head on the frozen base; then head and late layers, slowly."""
    import keras

    from hpsearch import Phase

    share = hp.get("head_share")
    slow = keras.optimizers.SGD(hp.get("late_rate"), momentum=0.9)
    return [Phase(share, ["head*"]), Phase(1.0 - share, ["head*", "late"], slow)]


def _halves(path, n_dropped, n_late):
    """The network of a file without its last layers: all but its end, and its end.

    Layers with weights are counted. The end begins where its last ``n_late`` do; or before, where
    only one tensor goes through.
    """
    import keras

    whole = keras.models.load_model(path, compile=False)
    weighty = [at for at, layer in enumerate(whole.layers) if layer.weights]
    if len(weighty) <= n_dropped:
        raise ValueError(f"{path} has {len(weighty)} layers with weights, too few to drop some")
    end = weighty[-n_dropped] if n_dropped else len(whole.layers)
    layers, weighty = whole.layers[:end], weighty[: len(weighty) - n_dropped]
    first = max(1, weighty[-min(n_late, len(weighty))])
    if isinstance(whole, keras.Sequential):
        start = keras.Input(whole.input_shape[1:])
        early = keras.Sequential([start, *layers[:first]], name="early")
        return early, keras.Sequential(layers[first:], name="late")
    for at in range(first - 1, -1, -1):
        try:
            late = keras.Model(layers[at].output, layers[-1].output, name="late")
        except ValueError:  # something goes around this layer
            continue
        return keras.Model(whole.inputs, layers[at].output, name="early"), late
    raise ValueError(f"{path} has no layer after which one tensor goes on to its end")
