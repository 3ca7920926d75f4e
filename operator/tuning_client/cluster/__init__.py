"""Studies on a cluster, as a person with kubectl sees and changes them."""
