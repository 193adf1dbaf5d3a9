//! The laws of the sums: whatever the split of the log, whatever was resumed, they are those of the runs as they ended.

