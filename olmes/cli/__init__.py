"""The command line."""


def main() -> None:
    """Stub while the layers below are written."""
