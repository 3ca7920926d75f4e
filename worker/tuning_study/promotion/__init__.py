"""What takes verified parameters to production and back, decided: pure, and nothing that reads or acts."""
