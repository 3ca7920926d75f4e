"""What is known of a study at one moment, read from the watches, the store and, rarely, the API. Nothing is written."""
