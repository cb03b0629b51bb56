"""What every judge says of an artifact that it cannot score. Travels in each judge's bundle."""


class BadArtifact(ValueError):
    """The artifact is not what the judge asks for; the message says what is wrong, in one line."""
