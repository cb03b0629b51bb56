"""Evolve programs: `python run_elm.py [environment=...] [model=...] [budget.evaluations=...]`."""

import hydra
from omegaconf import DictConfig, OmegaConf

import elm
from elm.entry import one_line_errors


@hydra.main(version_base="1.3", config_path="configs", config_name="config")
def main(config: DictConfig) -> None:
    with one_line_errors():  # here too: Hydra adds lines of its own to what it sees raised
        elm.run(OmegaConf.to_container(config, resolve=True, throw_on_missing=True))


if __name__ == "__main__":
    with one_line_errors():
        main()
