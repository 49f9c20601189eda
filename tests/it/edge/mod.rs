//! What holds on every route, whatever it does: limits, traces, logs, browsers, hostile connections, going away.
mod browsers;
mod logs;
mod rate;
mod shutdown;
mod sockets;
mod trace;
