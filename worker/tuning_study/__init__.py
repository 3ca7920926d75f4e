"""What a tuning study is: its models and every pure decision about it. No I/O, no clock, no Kubernetes."""
