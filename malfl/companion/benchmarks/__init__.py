"""How fast the core is, measured beside other ways to do the same."""
