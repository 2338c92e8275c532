"""`python -m olmes`."""

from olmes.cli import main

main()
