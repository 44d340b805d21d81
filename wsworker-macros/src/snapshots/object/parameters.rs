struct Room<'a: 'static, T>(&'a T);
::core::compile_error! {
    "an object owns its data, it lives as long as its events come: remove `'a` and share with `Arc`, such as `Arc<str>` for `&'a str`"
}
::core::compile_error! {
    "a class of objects is one type: remove the parameters, and write a struct for each type that is needed"
}
#[automatically_derived]
impl<'a: 'static, T> ::wsworker::__private::Class for Room<'a, T> {
    const NAME: &'static ::core::primitive::str = "Room";
    const OPTIONS: ::wsworker::__private::ObjectOptions = ::wsworker::__private::ObjectOptions::DEFAULT;
    type Stub = ::wsworker::Stub<Self>;
}
