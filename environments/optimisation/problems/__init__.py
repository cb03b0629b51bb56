"""The problems of the environment `optimisation`, one module each."""
