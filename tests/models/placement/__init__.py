"""A graphics card that is not there: what runs on it, what mixes it with the host, and what makes the host wait for it."""
