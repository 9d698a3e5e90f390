"""The executable of the archive."""

from kubectl_vmetrics.__main__ import main

main()
