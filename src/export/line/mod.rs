//! The lines of the stream: `form` declares their JSON objects, `encode` writes
//! rows and events into them, and `decode` reads them back.

mod decode;
mod encode;
mod form;

pub(super) use encode::{end_line, push};
pub(super) use form::{FirstLine, Line, TitleLine};
