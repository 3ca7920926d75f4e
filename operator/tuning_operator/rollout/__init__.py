"""The objects by which parameters reach production: the Job that checks them, and the Deployment that is rolled."""
