"""`python -m tfbio`."""

from tfbio.cli.main import main

if __name__ == "__main__":
    main()
