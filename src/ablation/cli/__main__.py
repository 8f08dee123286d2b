"""`python -m ablation.cli` is `redline`."""

from ablation.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
