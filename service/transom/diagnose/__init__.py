"""Says what is wrong and why, from facts alone: one small file a topic. Changes nothing."""
