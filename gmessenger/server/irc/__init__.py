"""IRC: connections of IRC clients, their commands, and the lines of what a session is sent."""
