//! The stream on its own: what is written reads back, and nothing else reads.
