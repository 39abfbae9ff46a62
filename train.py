"""Run `python train.py --help`."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # fewer of TensorFlow's notices

from tfbio.cli.train import main

if __name__ == "__main__":
    main()
