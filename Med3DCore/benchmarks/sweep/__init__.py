"""Many trainings of tasks, from several starts and seeds, on one computer or several, and the table of them."""
