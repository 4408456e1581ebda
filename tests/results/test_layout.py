import pytest

from hpsearch.results import free_name


def test_free_names_count_upwards(tmp_path):
    for expected in ("wine", "wine-2", "wine-3"):
        path = free_name(tmp_path, "wine")
        assert path == tmp_path / expected
        path.mkdir()


@pytest.mark.parametrize(
    ("name", "folder"),
    [("sklearn:wine", "sklearn-wine"), ("../up", "up"), ("a b/c", "a-b-c"), ("::", "run")],
)
def test_free_names_stay_inside_the_root(tmp_path, name, folder):
    assert free_name(tmp_path, name) == tmp_path / folder
