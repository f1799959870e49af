"""A torque wrench in a person's hand."""
