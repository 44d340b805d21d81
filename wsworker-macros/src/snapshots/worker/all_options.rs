#[derive(Clone)]
struct Echo;
#[automatically_derived]
impl crate::framework::__private::Annotated for Echo {
    const OPTIONS: crate::framework::__private::Options = crate::framework::__private::Options {
        max_message: ::core::option::Option::Some(1048576usize),
        max_buffered: ::core::option::Option::Some(65536usize),
        slow: ::core::option::Option::Some(crate::framework::__private::Slow::Drop),
        keeps_failed: true,
        idle_timeout: ::core::option::Option::Some(
            ::core::time::Duration::from_millis(120000),
        ),
        handshake_timeout: ::core::option::Option::Some(
            ::core::time::Duration::from_millis(500),
        ),
        protocols: &["chat.v2", "chat.v1"],
        origins: &["https://a.example"],
        objects: &[
            crate::framework::__private::Registration::of::<Room>(),
            crate::framework::__private::Registration::of::<rooms::Lobby>(),
        ],
        ..crate::framework::__private::Options::NONE
    };
    fn entrypoint(self) -> crate::framework::__private::Entry
    where
        for<'any> Self: crate::framework::Worker,
    {
        crate::framework::__private::entrypoint(self)
    }
}
