"""What the book is built by; `dodo.py` says what is built from what."""
