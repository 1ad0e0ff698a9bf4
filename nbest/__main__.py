"""`python -m nbest`: the command line."""

from nbest.experiments.cli import main

if __name__ == "__main__":
    main()
