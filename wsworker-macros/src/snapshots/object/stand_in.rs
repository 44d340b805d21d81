impl Room {
    pub fn say(self, line: &str, to: Self) -> usize {
        1
    }
}
::core::compile_error! {
    "a call is waited for: write `async fn say`"
}
::core::compile_error! {
    "an object lives on after a call: write `&mut self`"
}
::core::compile_error! {
    "an argument of a call is a value of its own, as it may go to another process: write `String`"
}
::core::compile_error! {
    "a call gives a `Result`, since it may not get through: write `Result<usize>`"
}
impl RoomStub {
    #[allow(missing_docs, unused)]
    pub async fn say(&self, line: &str, to: Room) -> usize {
        ::core::unreachable!()
    }
}
