//! The command line: parses the arguments, runs a command, and ends with an exit code.
//!
//! Exit codes: 0 if the command succeeded, 1 if it failed, and 2 if an argument or a
//! setting is wrong.
//!
//! The files, in reading order:
//!
//! | file | holds |
//! |---|---|
//! | `program` | the list of commands, and the way from arguments to an exit code |
//! | `flags` | the flags of all settings, for the commands that take settings |
//! | `node` | `stdio` and `serve`: this process is a node |
//! | `dev` | `dev`: a cluster on this machine |
//! | `connect` | `connect`: MCP on standard input and output, answered by nodes |
//! | `call`, `call_arguments` | `call`: one tool call, and how its arguments are written |
//! | `prune` | `prune`: removes runs that are over |
//! | `cluster` | `cluster`: the status of a cluster, and changes of it |
//! | `export`, `import` | `export` and `import`: a whole state and a file |
//! | `recover` | `recover`: a SQLite file from one surviving node |
//! | `node_options` | which running node a command calls, and with which token |
//! | `http_client`, `grpc_client` | clients of a running node |
//! | `event_stream` | answers of a node that are streams of events |
//! | `tls` | which authorities these clients trust, and why TLS fails |
//! | `bytes` | files and standard streams, compressed or not |
//! | `progress` | progress bars |
//! | `output`, `failure`, `runtime` | what all commands print, why they fail, how they run |

mod bytes;
mod call;
mod call_arguments;
mod cluster;
mod connect;
mod dev;
mod event_stream;
mod export;
mod failure;
mod flags;
mod grpc_client;
mod http_client;
mod import;
mod node;
mod node_options;
mod output;
mod program;
mod progress;
mod prune;
mod recover;
mod runtime;
mod tls;

pub use program::{http_main, main};
