"""The errors a user may see. Each message says what was expected, what was found, what to do."""


class DaskingestError(Exception):
    """Something went wrong that the user can act on; shown as one line, without a traceback."""

    exit_code = 1


class UsageError(DaskingestError):
    """The command was asked for something impossible: a wrong file, column, model or address."""

    exit_code = 2


class StoreError(DaskingestError):
    """The store cannot be opened, read or written."""


class DownloadError(DaskingestError):
    """A file cannot be downloaded or unpacked."""
