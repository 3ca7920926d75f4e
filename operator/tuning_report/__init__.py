"""A round as something to read: its history, and that history as text, plots and a page. Changes no store."""
