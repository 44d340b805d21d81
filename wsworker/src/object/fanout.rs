//! Messages that many sockets get, encoded once: whoever gets all of them gets the
//! same bytes.
//! Does not choose the sockets, or hold anything back.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;

use super::member::{Member, Selection};
use crate::protocol::message::Message;
use crate::socket::Outlet;
use crate::wire::encode_message;

/// Messages for some of an object's sockets.
pub(super) struct Fanout {
    members: Arc<Vec<Arc<Member>>>,
    parts: Vec<Part>,
    frames: Vec<u8>,
}

/// Messages that go to the same sockets.
struct Part {
    except: Vec<Arc<Member>>,
    messages: Vec<Message>,
    /// Where its frames end.
    end: usize,
}

impl Fanout {
    pub(super) fn of(to: Selection, message: Message) -> Self {
        let mut fanout = Self {
            members: to.members,
            parts: Vec::new(),
            frames: Vec::new(),
        };
        fanout.push(to.except, message);
        fanout
    }

    /// One more message.
    ///
    /// # Errors
    /// Not to these sockets, or there are enough.
    pub(super) fn add(
        &mut self,
        to: Selection,
        message: Message,
    ) -> Result<(), (Selection, Message)> {
        if self.frames.len() >= MAX_FRAMES || !same(&self.members, &to.members) {
            return Err((to, message));
        }
        self.push(to.except, message);
        Ok(())
    }

    fn push(&mut self, except: Vec<Arc<Member>>, message: Message) {
        encode_message(&message, &mut self.frames);
        let end = self.frames.len();
        match self.parts.last_mut() {
            Some(part) if same(&part.except, &except) => {
                part.messages.push(message);
                part.end = end;
            }
            _ => self.parts.push(Part {
                except,
                messages: vec![message],
                end,
            }),
        }
    }

    pub(super) fn send(self) {
        let Self {
            members,
            parts,
            frames,
        } = self;
        let frames = Bytes::from(frames);
        for group in members.chunks(FETCHED) {
            let ready = group.iter().filter(|member| member.handle().looks_ready());
            black_box(ready.count());
            for member in group {
                if !member.handle().takes_frames() {
                    let own = parts.iter().filter(|part| part.is_for(member));
                    own.flat_map(|part| &part.messages)
                        .for_each(|message| member.deliver(message));
                } else if parts.iter().all(|part| part.is_for(member)) {
                    member.deliver_frames(&frames);
                } else if let Some(own) = of_member(&parts, &frames, member) {
                    member.deliver_frames(&own);
                }
            }
        }
    }
}

impl Part {
    fn is_for(&self, member: &Arc<Member>) -> bool {
        !self.except.iter().any(|other| Arc::ptr_eq(other, member))
    }
}

/// The frames for a member that does not get all of them; none if it gets none.
fn of_member(parts: &[Part], frames: &Bytes, member: &Arc<Member>) -> Option<Bytes> {
    let mut own = Vec::new();
    let mut start = 0;
    for part in parts {
        if part.is_for(member) {
            own.extend_from_slice(&frames[start..part.end]);
        }
        start = part.end;
    }
    (!own.is_empty()).then(|| own.into())
}

/// The same sockets in the same order?
fn same(one: &[Arc<Member>], other: &[Arc<Member>]) -> bool {
    std::ptr::eq(one, other)
        || (one.len() == other.len() && one.iter().zip(other).all(|(a, b)| Arc::ptr_eq(a, b)))
}

/// Bytes that are sent at once; the last message may go over it.
const MAX_FRAMES: usize = 64 << 10;

/// Of so many sockets the memory is fetched at once: one after the other costs a
/// twentieth of the time of a room of a thousand.
const FETCHED: usize = 16;
