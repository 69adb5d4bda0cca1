"""How agents learn; one file per learner."""
