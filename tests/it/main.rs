//! The integration tests: a server under test, and a client of raw bytes that
//! shares no code with it.

mod alone;
mod backpressure;
mod bodies;
mod calls;
mod client;
mod closing;
mod frames;
mod idle;
mod layers;
mod log;
mod objects;
mod opening;
mod order;
mod pairs;
mod process;
mod program;
mod raw;
mod relay;
mod serve;
mod server;
mod slow;
mod testing;
