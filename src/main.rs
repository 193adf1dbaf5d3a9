//! meno
fn main() {}
