"""What Countinghouse costs, measured beside what people would otherwise use, in the same run."""
