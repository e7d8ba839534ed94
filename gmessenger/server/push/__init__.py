"""Web Push: tells devices that are not connected that there is something new, by the push services of browsers."""
