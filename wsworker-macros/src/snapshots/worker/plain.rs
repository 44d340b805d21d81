#[derive(Clone)]
struct Echo;
#[automatically_derived]
impl ::wsworker::__private::Annotated for Echo {
    const OPTIONS: ::wsworker::__private::Options = ::wsworker::__private::Options::NONE;
    fn entrypoint(self) -> ::wsworker::__private::Entry
    where
        for<'any> Self: ::wsworker::Worker,
    {
        ::wsworker::__private::entrypoint(self)
    }
}
