//! What the compiler says about a mistake, and what must compile.
//! One file for each mistake, named for it; `TRYBUILD=overwrite` writes the expected texts.
//! Those of objects need the feature, which `cargo test` for the whole workspace turns on;
//! `cargo test -p wsworker --test ui` has what is said without it.

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/fail/*.rs");
    cases.pass("tests/ui/pass/*.rs");
    if cfg!(feature = "objects") {
        cases.compile_fail("tests/ui/objects/fail/*.rs");
        cases.pass("tests/ui/objects/pass/*.rs");
    } else {
        cases.compile_fail("tests/ui/without_objects/*.rs");
    }
}
