//! The api: the protocols under which the service is reached. Each translates
//! its requests into commands and questions and back, and does nothing else.

pub mod grpc;
