//! What the compiler says about a mistake, and what must compile.
//! One file for each mistake, named for it; `TRYBUILD=overwrite` writes the expected texts.

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/fail/*.rs");
    cases.pass("tests/ui/pass/*.rs");
}
