"""The one text that names a cluster: its kind, its address, and what is no such text."""

import pytest

from hpsearch.engines.workers import Cluster, check_cluster
from hpsearch.errors import OptionError


@pytest.mark.parametrize(
    ("text", "kind", "address"),
    [
        ("tcp://10.0.0.1:8786", "dask", "tcp://10.0.0.1:8786"),
        ("tls://[fe80::1]:8786", "dask", "tls://[fe80::1]:8786"),
        ("wss://a.b:443", "dask", "wss://a.b:443"),
        ("inproc://10.0.0.1/7/1", "dask", "inproc://10.0.0.1/7/1"),
        ("dask:tls://a:8786", "dask", "tls://a:8786"),
        ("dask:a:8786", "dask", "tcp://a:8786"),
        ("dask://a:8786", "dask", "tcp://a:8786"),
        ("ray", "ray", None),
        ("ray:auto", "ray", "auto"),
        ("ray:10.0.0.1:6379", "ray", "10.0.0.1:6379"),
        ("ray://10.0.0.1:10001", "ray", "ray://10.0.0.1:10001"),
    ],
)
def test_a_text_names_the_kind_and_the_address_of_a_cluster(text, kind, address):
    cluster = Cluster.parse(text)
    assert (cluster.kind, cluster.address) == (kind, address)
    assert Cluster.parse(str(cluster)) == cluster


def test_no_text_is_this_machine():
    assert Cluster.parse(None) is None


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "spark",
            "dask",
            "dask:",
            "ray:",
            "ray:a",
            "ray://a",
            "ray:a:²",
            "ray:ray://a:1",
        ),
        *("tcp://", "tcp://a", "tcp://a:b", "tcp://a:0", "tcp://a:65536", "tcp://a:" + "9" * 5000),
        *("tcp://a:1/x", "tcp://u@a:1", "tcp://:8786", "tcp://a:8786\nb", "foo://a:1", "inproc://"),
        *(8786, True, b"ray"),
    ],
)
def test_what_names_no_cluster_is_refused(text):
    with pytest.raises(OptionError, match=r"`cluster` is tcp://HOST:8786 .* received ") as raised:
        check_cluster(text)
    assert "Write" not in str(raised.value)


def test_an_address_without_its_kind_is_refused_with_what_to_write():
    said = r"Write tcp://10\.0\.0\.1:8786 for Dask, or ray:10\.0\.0\.1:8786 for Ray\.$"
    with pytest.raises(OptionError, match=said):
        check_cluster("10.0.0.1:8786")


@pytest.mark.parametrize(
    ("text", "kind"), [("tcp://a:8786", "dask"), ("ray", "ray"), ("ray:auto", "ray")]
)
def test_a_missing_package_is_named_with_its_remedy(text, kind, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(OptionError, match=rf"Run: pip install 'hpsearch\[{kind}\]'"):
        check_cluster(text)
