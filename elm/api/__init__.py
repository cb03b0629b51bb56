"""For people who write Python and not command lines: `elm.run`, `elm.evolve`, `elm.Loop`."""
