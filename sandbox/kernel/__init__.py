"""What the Linux kernel offers to hold a process: called by number, without any library."""
