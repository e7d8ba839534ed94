"""Options: their table, types, parser, config files, sources of values, and shell completion."""
