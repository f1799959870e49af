"""ODrive v3 motor controller on a screw, over its ASCII protocol: a pressure rig."""
