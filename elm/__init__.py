"""Quality-diversity evolution of programs with language models."""
