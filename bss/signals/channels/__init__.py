"""What can be measured on channels: faults, frozen spans, changing gains, sound in common."""
