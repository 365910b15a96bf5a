"""Run the command as `python -m voltaware_async.cli`."""

from voltaware_async.cli import main

main()
