//! The runtime as a program above it sees it: real cores, real sockets on the loopback.

mod chaos;
mod close;
mod connections;
mod echo;
mod mesh;
mod replica;
mod robustness;
mod server;
mod tasks;
mod tls;
