"""ROBOTIS DYNAMIXEL XM540-W270 turning a self-locking screw: a pressure rig."""
