"""What the README says word for word."""

import re
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_python_example_runs_as_printed(tmp_path):
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert "runs/" in done.stdout


def test_the_lines_for_a_server_work_as_printed(tmp_path):
    text = (ROOT / "README.md").read_text()
    (block,) = re.findall(r"<!-- server -->\n```\n(.*?)```", text, re.DOTALL)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    # Another port than the reader's, which may be taken here; and this interpreter.
    block = block.replace(":8700", f":{port}").replace("serve ", f"serve --port {port} ")
    script = f'python() {{ "{sys.executable}" "$@"; }}\n{block}wait\n'
    done = subprocess.run(
        ["bash", "-euc", script], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    for answer in (
        '"status":"ok","level"',
        '"artifact":42',
        '"status":"timeout"',
        '"fitness":1.0,"descriptor":[7.0,7.0]',
        '"public_key"',
        'sandbox_evaluations_total{status="ok",way="http"} 2.0',
        '"status":"draining"',
    ):
        assert answer in done.stdout, f"{answer} not in {done.stdout}\n{done.stderr}"
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
