"""Data to try the project with: the people of the demo, and crowds of random users."""
