"""Configuration: the table of options, their types, the parser, config files, origins of values, shell completion."""
