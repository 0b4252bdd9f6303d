//! What sockets need beyond mio.

pub use super::platform::limit_unsent;

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_socket_takes_the_limit() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        limit_unsent(&socket, 4096).unwrap();
    }
}
