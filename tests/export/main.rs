//! Whole states on the move: the stream byte by byte, out of every store and
//! into every store, beside writes, past kills, and by the program itself.

mod cluster;
mod killed;
mod live;
mod program;
mod replaced;
mod round_trip;
mod state;
mod stream;
mod through_redis;
