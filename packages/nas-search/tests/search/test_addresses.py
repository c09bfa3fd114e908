"""Addresses where no cluster is, asked for in a process that is connected to none."""

import socket

import pytest
from nas_search.cluster_options import ClusterOptions
from nas_search.executors.dask import DaskExecutor
from nas_search.executors.protocol import WorkersError
from nas_search.executors.ray import RayExecutor


def test_an_address_where_nothing_is():
    options = ClusterOptions("tcp://127.0.0.1:1", patience=1)
    with pytest.raises(WorkersError, match=r"scheduler at tcp://127\.0\.0\.1:1 has not answered"):
        DaskExecutor(1, options).submit(int)


@pytest.mark.parametrize("listens", [True, False])
def test_an_address_where_no_ray_is(listens):
    pytest.importorskip("ray")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listens:
            silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(WorkersError, match=rf"Ray cluster at {address} has not answered in 1 "):
            RayExecutor(1, ClusterOptions(address, patience=1)).submit(int)


def test_what_ray_says_of_an_address():
    pytest.importorskip("ray")
    with pytest.raises(WorkersError, match=r"Ray cluster at tcp://nowhere:1 can't be used: \w"):
        RayExecutor(1, ClusterOptions("tcp://nowhere:1")).submit(int)
