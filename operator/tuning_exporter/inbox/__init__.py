"""What others tell the exporter, as requests to studies. Pure: a payload in, a decision out."""
