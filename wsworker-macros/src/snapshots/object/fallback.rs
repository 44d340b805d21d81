struct Room;
::core::compile_error! {
    "a time needs a unit: write `\"1s\"` for seconds"
}
#[automatically_derived]
impl ::wsworker::__private::Class for Room {
    const NAME: &'static ::core::primitive::str = "Room";
    const OPTIONS: ::wsworker::__private::ObjectOptions = ::wsworker::__private::ObjectOptions::DEFAULT;
    type Stub = RoomStub;
}
/// Calls one `Room`, from anywhere.
struct RoomStub(::wsworker::Stub<Room>);
#[automatically_derived]
impl ::core::clone::Clone for RoomStub {
    fn clone(&self) -> Self {
        Self(::core::clone::Clone::clone(&self.0))
    }
}
#[automatically_derived]
impl ::core::fmt::Debug for RoomStub {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        ::core::fmt::Debug::fmt(&self.0, f)
    }
}
#[automatically_derived]
impl ::core::convert::From<::wsworker::Stub<Room>> for RoomStub {
    fn from(stub: ::wsworker::Stub<Room>) -> Self {
        Self(stub)
    }
}
#[automatically_derived]
impl ::core::ops::Deref for RoomStub {
    type Target = ::wsworker::Stub<Room>;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
