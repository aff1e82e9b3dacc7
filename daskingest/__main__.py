"""The entry point of the command line."""

from __future__ import annotations

import sys

from daskingest.errors import DaskingestError


def main() -> None:
    """Run the command line. An expected error is printed as one line, without a traceback."""
    from daskingest.cli.app import app

    try:
        app()
    except DaskingestError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
