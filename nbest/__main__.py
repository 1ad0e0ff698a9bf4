"""`python -m nbest`: the command line."""

from nbest.experiments.cli.app import main

if __name__ == "__main__":  # Ray and vLLM start processes that import this file
    main()
