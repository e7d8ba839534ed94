"""The server where it is deployed: under the unit and in a container, with what these take away from it."""
