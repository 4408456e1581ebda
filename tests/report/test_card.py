"""The model card says what the run knows, as plain Markdown."""

import pytest

from hpsearch.report import model_card_text


@pytest.fixture(scope="module")
def run(made, tmp_path_factory):
    return made.make_run(tmp_path_factory.mktemp("card") / "run")


def card_of(run):
    return model_card_text(run.settings, run.best, run.manifest, run.ledger)


def test_the_card_has_every_part(run):
    text = card_of(run)
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "# Model card: trees",
        *("## Model", "## Data and task", "## Estimates", "## Limits", "## Inputs"),
        *("## Hyperparameters", "## Loading and predicting", "## Checks passed", "## Versions"),
    ]
    assert text.endswith("engine fused\n")


def test_the_card_has_the_ranges_and_levels_seen(run):
    lines = card_of(run).splitlines()
    assert "| height | number | 0.5 to 31.25 |" in lines
    assert "| bark | category | dark, light\\|grey |" in lines
    assert "- Positive class: yes; the other: no" in lines
    assert "- Cells were missing in: height. Training values fill them." in lines
    assert "- In training no cell was missing in the other columns." in lines


def test_the_card_has_the_estimates_with_their_intervals(run):
    best = run.best
    [line] = [
        x for x in card_of(run).splitlines() if x.startswith("| Mean of the folds, corrected")
    ]
    shown = [float(number) for number in line.split("|")[3].split(" to ")]
    assert shown == pytest.approx([best["ci_low"], best["ci_high"]], rel=0.02)


def test_one_run_gives_one_text(run):
    assert card_of(run) == card_of(run)


def test_the_card_says_how_text_was_written():
    columns = [
        {"name": "price", "kind": "number", "number_format": "1.234,5 €"},
        {"name": "day", "kind": "date", "date_format": "day.month.year"},
        {"name": "size", "kind": "number", "number_format": "", "date_format": ""},
    ]
    text = model_card_text({}, {}, {"schema": {"columns": columns}})
    assert "| price | number, written like 1.234,5 € |" in text
    assert "| day | date, written like day.month.year |" in text
    assert "| size | number |" in text


def test_the_card_has_the_code_of_each_level():
    codes = {"yes|no": 1, "no": 0}
    feature = {"column": "ill", "codes": codes, "unknown": 2, "missing": 3}
    given = {"name": "codes", "dtype": "int32", "shape": [1], "features": [feature]}
    text = model_card_text({}, {}, {"inputs": [given]})
    assert "| ill | no = 0, yes\\|no = 1 | 2 | 3 |" in text.splitlines()


def test_names_cannot_become_markup(made, tmp_path):
    text = card_of(made.make_run(tmp_path / "run", hostile=True))
    assert "<img" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text


def test_a_card_of_almost_nothing_is_a_card():
    text = model_card_text({}, {}, {})
    assert text.startswith("# Model card: model\n")
    assert "## Inputs" not in text


def test_the_card_says_where_the_final_model_is_not_the_first_training(run):
    again = "It was trained 2 times, under other seeds"
    assert again not in card_of(run)
    best = {**run.best, "refit": {"n_rows": 80, "n_steps": 300, "n_trainings": 2}}
    assert again in model_card_text(run.settings, best, run.manifest, run.ledger)
