"""A space for images: a small convolutional network, and how images are changed while it trains.

Blocks of one or two convolutions of 3 x 3, each with twice the filters of the block before, halve
height and width; the mean over what is left of the picture goes to the last layer, or all of it
does. Few weights, so that some hundred images can teach them. Flips, shifts, rotations, zoom and
contrast act in training alone; none is on by default, since which of them leave a picture what it
is (a 6 that is turned is a 9) is for whoever knows the pictures.

Images beside other columns: numbers, categories and words join the mean. Videos get convolutions
over frames too, and are not changed. All of it is made of Keras's own layers, so that the exported
model loads anywhere.
"""

FILTERS = [8, 16, 32, 64]
BATCH_SIZES = [16, 32, 64, 128]
BESIDE = ("numbers", "categories.onehot", "words")
"""Inputs that join the image's where the table has such columns."""

MOMENTUM = 0.9
"""Of moving averages in batch normalisation: small sets have few steps to settle them."""

FAR = 10.0
"""Standard deviations that no pixel is from the mean, so that contrast cuts nothing off."""


def declare(hp, problem):
    """Declare every hyperparameter; builds nothing and needs no backend."""
    shape = image_shape(problem)
    hp.Int("n_blocks", 1, 4, default=usual_blocks(shape))
    hp.Int("convolutions", 1, 2, default=1)
    hp.Choice("filters", FILTERS, default=16)
    hp.Boolean("batch_normalization", default=True)
    hp.Choice("pooling", ["average", "none"])
    hp.Choice("dropout", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5], default=0.2)
    if len(shape) == 3:
        hp.Choice("flip", ["none", "horizontal", "horizontal_and_vertical"])
        hp.Choice("shift", [0.0, 0.05, 0.1, 0.2])
        hp.Choice("rotation", [0.0, 0.02, 0.05, 0.1])
        hp.Choice("zoom", [0.0, 0.1, 0.2])
        hp.Choice("contrast", [0.0, 0.2, 0.4])
    hp.Choice("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
    with hp.conditional_scope("optimizer", ["adam", "adamw", "rmsprop"]):
        hp.Float("learning_rate", 3e-4, 1e-2, sampling="log", default=2e-3)
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Float("sgd_learning_rate", 3e-3, 1e-1, sampling="log", default=2e-2)
    with hp.conditional_scope("optimizer", ["adamw"]):
        hp.Float("weight_decay", 1e-4, 1e-1, sampling="log", default=1e-2)
    hp.Choice("schedule", ["cosine", "constant"])
    sizes = [size for size in BATCH_SIZES if size <= problem.n_train] or [problem.n_train]
    hp.Choice("batch_size", sizes, default=32 if 32 in sizes else sizes[0])


def image_shape(problem):
    """Height, width and channels of the images; with the frames first for videos."""
    shape = problem.input_shape
    if len(shape) < 3 and "image" in problem.inputs:
        shape = problem.inputs["image"].shape
    if len(shape) not in (3, 4):
        raise ValueError(
            f"the space image needs images, or videos; rows have the shape {tuple(shape)}. Choose "
            "another space, or name the column of images with --image"
        )
    return shape


def usual_blocks(shape):
    """Blocks that leave about 4 x 4 of images of 32 x 32."""
    side = min(shape[-3:-1])
    return 2 if side < 8 else 3 if side < 64 else 4


def build(hp, problem):
    """The compiled network of one configuration."""
    import keras

    declare(hp, problem)
    shape = image_shape(problem)
    is_alone = len(problem.input_shape) > 1
    images = keras.Input(shape, name=None if is_alone else "image")
    names = [] if is_alone else [name for name in BESIDE if name in problem.inputs]
    others = [keras.Input(problem.inputs[name].shape, name=name) for name in names]
    found = pooled(hp, augmented(hp, images) if len(shape) == 3 else images)
    if others:
        found = keras.layers.Concatenate()([found, *others])
    found = keras.layers.Dropout(hp.get("dropout"))(found)
    last = keras.layers.Dense(problem.n_outputs, activation=problem.output_activation)
    model = keras.Model([images, *others] if others else images, last(found))
    model.compile(optimizer=optimizer(hp, problem), loss=problem.loss)
    return model


def augmented(hp, images):
    """The images as they are in predictions, and changed at random in training."""
    from keras import layers

    shift, zoom = hp.get("shift"), hp.get("zoom")
    filled = {"fill_mode": "nearest"}
    if hp.get("flip") != "none":
        images = layers.RandomFlip(hp.get("flip"))(images)
    if shift:
        images = layers.RandomTranslation(shift, shift, **filled)(images)
    if hp.get("rotation"):
        images = layers.RandomRotation(hp.get("rotation"), **filled)(images)
    if zoom:
        images = layers.RandomZoom(zoom, zoom, **filled)(images)
    if hp.get("contrast"):
        images = layers.RandomContrast(hp.get("contrast"), value_range=(-FAR, FAR))(images)
    return images


def pooled(hp, images):
    """Blocks of convolutions, and the mean of each of the last one's filters, or all they give."""
    from keras import layers

    is_video = len(images.shape) == 5
    convolution = layers.Conv3D if is_video else layers.Conv2D
    halved = layers.MaxPooling3D if is_video else layers.MaxPooling2D
    mean = layers.GlobalAveragePooling3D if is_video else layers.GlobalAveragePooling2D
    normalizes = hp.get("batch_normalization")
    for block in range(hp.get("n_blocks")):
        for _ in range(hp.get("convolutions")):
            filters = hp.get("filters") * 2**block
            images = convolution(filters, 3, padding="same", use_bias=not normalizes)(images)
            if normalizes:
                images = layers.BatchNormalization(momentum=MOMENTUM)(images)
            images = layers.Activation("relu")(images)
        images = halved(2, padding="same")(images)
    return (mean if hp.get("pooling") == "average" else layers.Flatten)()(images)


def optimizer(hp, problem):
    """The optimizer, its learning rate constant or falling to nothing along a cosine."""
    from keras import optimizers

    name = hp.get("optimizer")
    rate = hp.get("sgd_learning_rate" if name == "sgd" else "learning_rate")
    if hp.get("schedule") == "cosine":
        steps = problem.total_steps(hp.get("batch_size"))
        rate = optimizers.schedules.CosineDecay(rate, steps)
    if name == "sgd":
        return optimizers.SGD(rate, momentum=0.9, nesterov=True)
    if name == "adamw":
        return optimizers.AdamW(rate, weight_decay=hp.get("weight_decay"))
    return {"adam": optimizers.Adam, "rmsprop": optimizers.RMSprop}[name](rate)
