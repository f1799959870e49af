"""Mark-10 Series 5 force gauge: a load cell."""
