//! Where a stream of bytes ends or begins: a file or a standard stream, compressed or not.
//! Each runs in a thread of its own, since both may block.
//!
//! | file | holds |
//! |---|---|
//! | `sink` | [`ByteSink`]: bytes go in |
//! | `source` | [`ByteSource`]: bytes come out |
//! | `stream` | what both share: the name of a stream, and the size of a piece |

mod sink;
mod source;
mod stream;

pub use sink::ByteSink;
pub use source::ByteSource;
