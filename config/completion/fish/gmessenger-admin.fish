# Asks the command itself, once a shell, at the first Tab: so this is never older than what is installed.
gmessenger-admin --print-completion fish 2>/dev/null | source
