"""What production tells of the tuned model, judged: pure statistics, and nothing that reads or acts."""
