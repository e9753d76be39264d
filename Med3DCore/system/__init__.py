"""What the computer gives: threads, memory, several processes that learn together."""
