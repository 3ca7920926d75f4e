"""From verified parameters to production: what they are there, and the gates on the way. Pure; the operator acts."""
