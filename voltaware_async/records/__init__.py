"""What the API talks about, as attrs values in its own words."""
