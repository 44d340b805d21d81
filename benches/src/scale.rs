//! Idle WebSockets, as many as the machine holds, each a member of a room: then messages, and a drain.
//! Knows of a server no more than its program, its address and its signals.
//!
//! A process has a limited number of descriptors, so there are as many servers and loads as it takes.
//! The loads are this program again, and talk with it in lines of JSON.

mod chatter;
pub mod children;
mod frames;
pub mod kernel;
pub mod limits;
pub mod load;
mod members;
mod progress;
pub mod protocol;
pub mod report;
mod rooms;
pub mod run;
