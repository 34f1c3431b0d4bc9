//! The public gRPC API over a real listener: every command and question, every
//! error, and clients that send malformed requests, send too much or go away.

mod bytes;
mod commands;
mod faults;
mod leaving;
mod pipeline;
mod questions;
mod refused;
mod status;
mod support;
mod wait;
mod watch;
