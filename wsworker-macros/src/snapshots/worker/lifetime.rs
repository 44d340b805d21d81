#[derive(Clone)]
pub struct Echo<'a: 'static, T: 'a = u8>(
    &'a T,
)
where
    T: Copy;
::core::compile_error! {
    "a worker owns its data, it lives as long as its connection: remove `'a` and share with `Arc`, such as `Arc<str>` for `&'a str`"
}
#[automatically_derived]
impl<'a: 'static, T: 'a> ::wsworker::__private::Annotated for Echo<'a, T>
where
    T: Copy,
{
    const OPTIONS: ::wsworker::__private::Options = ::wsworker::__private::Options::NONE;
    fn entrypoint(self) -> ::wsworker::__private::Entry {
        ::core::unreachable!()
    }
}
