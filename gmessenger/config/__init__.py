"""Configuration: options, their types and sources, parser, config files, shell completion."""
