"""The HTTP side of a sandbox server: routes, messages, refusals, metrics. Parts need Flask."""
