"""The HTTP port answers as its own description says: schemathesis asks for what it promises."""

import os
import subprocess
import sys


def test_every_answer_is_as_the_description_says(server, tmp_path):
    here = os.path.dirname(__file__)
    command = [
        os.path.join(os.path.dirname(sys.executable), "schemathesis"),
        "--config-file", os.path.join(here, "schemathesis.toml"),
        "run", f"http://127.0.0.1:{server.http_port}/v1/openapi.json",
        "--auth", "app:app password",
        # Every text is a good "sql" to a description; to SQL most are syntax errors.
        "--exclude-checks", "positive_data_acceptance",
        "--max-examples", "30",
        "--generation-deterministic",
        "--continue-on-failure",
        "--no-color",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tested: 7" in done.stdout, done.stdout
