"""A simulated 16-channel cycler that executes uploaded programs by itself."""
