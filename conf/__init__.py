"""Hydra configuration of the command line; the package exists so that Hydra finds its YAML files once installed."""
