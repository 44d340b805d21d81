#[derive(Clone)]
struct Echo;
::core::compile_error! {
    "expected `\"close\"` (close a slow peer with 1013) or `\"drop\"` (drop a broadcast for it)"
}
#[automatically_derived]
impl ::wsworker::__private::Annotated for Echo {
    const OPTIONS: ::wsworker::__private::Options = ::wsworker::__private::Options::NONE;
    fn entrypoint(self) -> ::wsworker::__private::Entry {
        ::core::unreachable!()
    }
}
