"""What makes the platform run by itself, and tells somebody when it does not.

What belongs here: the job that refreshes everything, its schedule, the freshness that people rely
on, and the alert on a failed run. What does not: the sensor on new files, which belongs to the
room that knows the sources, and anything that makes a table.
"""
