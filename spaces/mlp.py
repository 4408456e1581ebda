"""A multilayer perceptron: the default for words and, flattened, for images and sequences.

Depth and width, activation, dropout, regularization, batch normalization, optimizer, learning
rate and its schedule, and the batch size. Expects standardized inputs and, for regression, a
standardized target; under these, most random configurations train well.

Every hyperparameter is declared in ``declare`` under ``hp.conditional_scope``, so a candidate
holds only what its network uses, and no name is declared in two branches. Optimizers whose steps
have one scale (RMSprop, Adam, AdamW, Nadam) share ``learning_rate``; SGD, Adagrad and Adadelta
need ranges of their own, hence names of their own. Schedules count their steps by
``problem.total_steps(batch_size)``: the whole budget of epochs.
"""

import math

MAX_LAYERS = 4
UNITS = [16, 32, 64, 128, 256]
DROPOUTS = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
ACTIVATIONS = ["relu", "elu", "selu", "gelu", "tanh", "swish"]
BATCH_SIZES = [16, 32, 64, 128]

# (lowest, highest, default), sampled logarithmically
LEARNING_RATES = {
    "learning_rate": (5e-4, 1e-2, 1e-3),
    "sgd_learning_rate": (3e-3, 3e-2, 1e-2),
    "adagrad_learning_rate": (2e-2, 1e-1, 3e-2),
    "adadelta_learning_rate": (5e-1, 2.0, 1.0),
}
LEARNING_RATE_OF = {
    "adam": "learning_rate",
    "adamw": "learning_rate",
    "nadam": "learning_rate",
    "rmsprop": "learning_rate",
    "sgd": "sgd_learning_rate",
    "adagrad": "adagrad_learning_rate",
    "adadelta": "adadelta_learning_rate",
}
DECAYING_SCHEDULES = ["step", "exponential", "inverse_time", "cosine", "warmup_cosine"]

# Initial weights that keep the variance of each layer's output near that of its input
INITIALIZERS = {"selu": "lecun_normal", "tanh": "glorot_uniform"}


def declare(hp, problem):
    """Declare every hyperparameter; builds nothing and needs no backend."""
    declare_layers(hp)
    declare_regularization(hp)
    declare_optimizer(hp)
    declare_schedule(hp)
    sizes = [size for size in BATCH_SIZES if size <= problem.n_train] or [problem.n_train]
    hp.Choice("batch_size", sizes, default=32 if 32 in sizes else sizes[-1])


def declare_layers(hp):
    """One width and one dropout rate for each hidden layer there is."""
    hp.Int("n_layers", 1, MAX_LAYERS, default=2)
    for layer in range(1, MAX_LAYERS + 1):
        with hp.conditional_scope("n_layers", list(range(layer, MAX_LAYERS + 1))):
            hp.Choice(f"units_{layer}", UNITS, default=64)
            hp.Choice(f"dropout_{layer}", DROPOUTS, default=0.0)
    hp.Choice("activation", ACTIVATIONS)
    hp.Choice("batch_normalization", ["none", "before_activation", "after_activation"])


def declare_regularization(hp):
    """The penalty on the hidden layers' weights."""
    hp.Choice("regularization", ["none", "l1", "l2", "l1_l2"])
    with hp.conditional_scope("regularization", ["l1", "l1_l2"]):
        hp.Float("l1", 1e-6, 1e-3, sampling="log", default=1e-5)
    with hp.conditional_scope("regularization", ["l2", "l1_l2"]):
        hp.Float("l2", 1e-6, 1e-2, sampling="log", default=1e-4)


def declare_optimizer(hp):
    """The optimizer, its learning rate and what else steers its steps."""
    hp.Choice("optimizer", list(LEARNING_RATE_OF))
    for name, (low, high, default) in LEARNING_RATES.items():
        users = [optimizer for optimizer, rate in LEARNING_RATE_OF.items() if rate == name]
        with hp.conditional_scope("optimizer", users):
            hp.Float(name, low, high, sampling="log", default=default)
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Choice("momentum", [0.0, 0.5, 0.9], default=0.9)
        with hp.conditional_scope("momentum", [0.5, 0.9]):
            hp.Boolean("nesterov", default=True)
    with hp.conditional_scope("optimizer", ["adamw"]):
        hp.Float("weight_decay", 1e-4, 1e-1, sampling="log", default=4e-3)


def declare_schedule(hp):
    """How the learning rate falls, and to which fraction of itself at the end of the budget."""
    hp.Choice("schedule", ["constant", *DECAYING_SCHEDULES])
    with hp.conditional_scope("schedule", DECAYING_SCHEDULES):
        hp.Float("final_rate_fraction", 5e-2, 0.5, sampling="log", default=0.1)
    with hp.conditional_scope("schedule", ["step"]):
        hp.Int("n_drops", 1, 4, default=2)
    with hp.conditional_scope("schedule", ["warmup_cosine"]):
        hp.Float("warmup_fraction", 0.02, 0.2, default=0.1)


def build(hp, problem):
    """The compiled network of one configuration."""
    import keras

    declare(hp, problem)
    layers = [keras.Input(problem.input_shape)]
    if len(problem.input_shape) > 1:
        layers.append(keras.layers.Flatten())
    for layer in range(1, hp.get("n_layers") + 1):
        layers += hidden_layer(hp, layer)
    layers.append(keras.layers.Dense(problem.n_outputs, activation=problem.output_activation))
    model = keras.Sequential(layers)
    model.compile(optimizer=optimizer(hp, learning_rate(hp, problem)), loss=problem.loss)
    return model


def hidden_layer(hp, layer):
    """Dense, activation, dropout, and batch normalization where it is wanted."""
    import keras

    normalize = hp.get("batch_normalization")
    activation = hp.get("activation")
    dense = keras.layers.Dense(
        hp.get(f"units_{layer}"),
        use_bias=normalize != "before_activation",  # the normalization has a bias of its own
        kernel_initializer=INITIALIZERS.get(activation, "he_normal"),
        kernel_regularizer=regularizer(hp),
    )
    layers = [dense, keras.layers.Activation(activation)]
    if normalize == "before_activation":
        layers.insert(1, keras.layers.BatchNormalization())
    if normalize == "after_activation":
        layers.append(keras.layers.BatchNormalization())
    return [*layers, keras.layers.Dropout(hp.get(f"dropout_{layer}"))]


def regularizer(hp):
    """The penalty of one layer; a strength that is not declared active counts as zero."""
    import keras

    if hp.get("regularization") == "none":
        return None
    strength = {name: hp.get(name) if name in hp else 0.0 for name in ("l1", "l2")}
    return keras.regularizers.L1L2(**strength)


def learning_rate(hp, problem):
    """The learning rate, or the schedule that it starts."""
    from keras.optimizers import schedules

    rate = hp.get(LEARNING_RATE_OF[hp.get("optimizer")])
    schedule = hp.get("schedule")
    if schedule == "constant":
        return rate
    steps = problem.total_steps(hp.get("batch_size"))
    final = hp.get("final_rate_fraction")
    if schedule == "step":
        n_drops = hp.get("n_drops")
        length = math.ceil(steps / (n_drops + 1))
        return schedules.ExponentialDecay(rate, length, final ** (1 / n_drops), staircase=True)
    if schedule == "exponential":
        return schedules.ExponentialDecay(rate, steps, final)
    if schedule == "inverse_time":
        return schedules.InverseTimeDecay(rate, steps, 1 / final - 1)
    if schedule == "cosine":
        return schedules.CosineDecay(rate, steps, alpha=final)
    warmup = max(1, round(hp.get("warmup_fraction") * steps))
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

    name = hp.get("optimizer")
    if name == "sgd":
        nesterov = "nesterov" in hp and hp.get("nesterov")
        return optimizers.SGD(rate, momentum=hp.get("momentum"), nesterov=nesterov)
    if name == "adamw":
        return optimizers.AdamW(rate, weight_decay=hp.get("weight_decay"))
    classes = {
        "adam": optimizers.Adam,
        "nadam": optimizers.Nadam,
        "rmsprop": optimizers.RMSprop,
        "adagrad": optimizers.Adagrad,
        "adadelta": optimizers.Adadelta,
    }
    return classes[name](rate)
