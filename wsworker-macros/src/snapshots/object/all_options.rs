/// A room.
#[cfg(all())]
pub(crate) struct Room(u8);
#[cfg(all())]
#[automatically_derived]
impl crate::framework::__private::Class for Room {
    const NAME: &'static ::core::primitive::str = "chat.room";
    const OPTIONS: crate::framework::__private::ObjectOptions = crate::framework::__private::ObjectOptions {
        hibernate_after: ::core::time::Duration::from_millis(60000),
        event_timeout: ::core::time::Duration::from_millis(500),
        sql: true,
        keeps_failed: true,
        max_sockets: 100000,
        max_tags: 3,
        max_tag: 32,
        max_attachment: 1024,
        max_key: 64,
        max_value: 1048576,
        max_calls: 10,
        max_held: 1048576,
    };
    type Stub = RoomStub;
}
#[cfg(all())]
/// Calls one `Room`, from anywhere.
pub(crate) struct RoomStub(crate::framework::Stub<Room>);
#[cfg(all())]
#[automatically_derived]
impl ::core::clone::Clone for RoomStub {
    fn clone(&self) -> Self {
        Self(::core::clone::Clone::clone(&self.0))
    }
}
#[cfg(all())]
#[automatically_derived]
impl ::core::fmt::Debug for RoomStub {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        ::core::fmt::Debug::fmt(&self.0, f)
    }
}
#[cfg(all())]
#[automatically_derived]
impl ::core::convert::From<crate::framework::Stub<Room>> for RoomStub {
    fn from(stub: crate::framework::Stub<Room>) -> Self {
        Self(stub)
    }
}
#[cfg(all())]
#[automatically_derived]
impl ::core::ops::Deref for RoomStub {
    type Target = crate::framework::Stub<Room>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
