/// A room.
#[cfg(all())]
#[derive(Clone)]
pub(crate) struct Room<T: Clone = u8, const N: usize = { 1 + 1 }>(
    Arc<[T; N]>,
)
where
    T: Send + 'static;
#[cfg(all())]
#[automatically_derived]
impl<T: Clone, const N: usize> ::wsworker::__private::Annotated for Room<T, N>
where
    T: Send + 'static,
{
    const OPTIONS: ::wsworker::__private::Options = ::wsworker::__private::Options {
        slow: ::core::option::Option::Some(::wsworker::__private::Slow::Close),
        ..::wsworker::__private::Options::NONE
    };
    fn entrypoint(self) -> ::wsworker::__private::Entry
    where
        for<'any> Self: ::wsworker::Worker,
    {
        ::wsworker::__private::entrypoint(self)
    }
}
