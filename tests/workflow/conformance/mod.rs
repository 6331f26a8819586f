//! Every file of `tests/workflows/`: a small workflow, and under `x-case` what is to come of it.
//! `README.md` there says what the keys of `x-case` mean, and which file covers which line of
//! the contract.

mod case;
pub(crate) mod functions;
mod matching;
mod table;

use std::path::PathBuf;

use case::Case;
use rstest::rstest;

#[rstest]
fn a_file_does_what_it_says(#[files("tests/workflows/*.yaml")] path: PathBuf) {
    if let Err(why) = Case::load(&path).check() {
        panic!("{}: {why}", path.display());
    }
}
