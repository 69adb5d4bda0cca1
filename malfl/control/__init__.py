"""LfL with bodies: continuous tasks, networks, and what is recovered of a learner with one."""
