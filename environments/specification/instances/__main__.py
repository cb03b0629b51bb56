"""Writes published instances as inputs of the specification `bin_packing`.

    python -m environments.specification.instances or3 binpack3.txt > or3.inputs
    python run_elm.py environment=specification environment.path=bin_packing \
        environment.inputs=or3.inputs
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from environments.specification.instances import published


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0, or 1 with one line if the file is not what its name says."""
    parser = argparse.ArgumentParser(
        prog="python -m environments.specification.instances",
        description="Writes published instances of bin packing as inputs, one a line.",
    )
    parser.add_argument("name", choices=sorted(published.CHECKSUMS))
    parser.add_argument(
        "file", type=Path, help="binpack1.txt to binpack4.txt, or the notebook bin_packing.ipynb"
    )
    options = parser.parse_args(arguments)
    try:
        found = published.read(options.file, options.name)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    sys.stdout.write(published.as_inputs(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
