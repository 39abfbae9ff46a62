"""Run `python evaluate.py --help`."""

from tfbio.cli.main import start

if __name__ == "__main__":
    start("evaluate")
