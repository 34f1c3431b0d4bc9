//! A proxy in front of a node, whose connections a test can cut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Passes on what both sides send, until it is cut.
pub struct CutProxy {
    port: u16,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl CutProxy {
    /// A proxy in front of the node that listens on this port. Its threads end with the
    /// test.
    pub fn before(node: u16) -> CutProxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = Arc::new(Mutex::new(Vec::new()));
        let accepted = open.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", node)) else { return };
                let both = [&client, &server].map(|end| end.try_clone().unwrap());
                accepted.lock().unwrap().extend(both);
                let ends = [(&client, &server), (&server, &client)];
                for (from, to) in ends.map(|(a, b)| (a.try_clone(), b.try_clone())) {
                    let (from, to) = (from.unwrap(), to.unwrap());
                    std::thread::spawn(move || pass_on(from, to));
                }
            }
        });
        CutProxy { port, open }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Closes all connections. New ones are accepted.
    pub fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            // This fails if it is closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..length]).is_err() {
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
