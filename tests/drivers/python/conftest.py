"""A server of its own for each module: a NodeDB or, for a look at the tests themselves, a PostgreSQL 15."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import server as servers  # noqa: E402

# What PostgreSQL has no counterpart of.
if os.environ.get("NODEDB_DRIVERS_SERVER") == "postgresql":
    collect_ignore = ["test_openapi.py"]


@pytest.fixture(scope="module")
def server():
    running = servers.start()
    yield running
    running.stop()
