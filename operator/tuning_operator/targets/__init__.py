"""What is rolled out when the parameters in production change: how it stands, and the one field of it that is ours."""
