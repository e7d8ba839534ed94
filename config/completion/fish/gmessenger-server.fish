# Asks the command itself, once a shell, at the first Tab: so this is never older than what is installed.
gmessenger-server --print-completion fish 2>/dev/null | source
