"""What every process shares: settings, service runner, unix-socket HTTP, wire records, errors, metrics, log, files."""

__version__ = "0.1.0"
