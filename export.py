"""Run `python export.py --help`."""

from tfbio.cli.main import start

if __name__ == "__main__":
    start("export")
