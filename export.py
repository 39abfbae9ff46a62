"""Run `python export.py --help`."""

import os

from tfbio.onednn import enable_onednn

# TensorFlow reads both when it is imported, which the command does.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # fewer of its notices
enable_onednn()

from tfbio.cli.export import main

if __name__ == "__main__":
    main()
