"""A graphics card that is not there: what runs on it, what mixes it with the host, what makes the host wait for it."""
