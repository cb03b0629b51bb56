"""Quality-diversity evolution of programs with language models."""

from typing import Any


def run(config: Any = None, /, **sections: Any) -> dict[str, Any]:
    """Runs an evolution; see `elm.launch.run`."""
    from elm.launch import run as launch  # importing the nouns must stay light

    return launch(config, **sections)
