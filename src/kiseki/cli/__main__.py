"""`python -m kiseki.cli` is the `kiseki` command."""

from kiseki.cli.program import main

if __name__ == "__main__":
    main()
