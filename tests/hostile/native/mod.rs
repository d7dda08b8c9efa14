//! What engine native bounds, and libzmq does not.
//!
//! - `fair`: Many hostile peers at once share one bound on time and memory.
//! - `surface`: Each kind of attack alone costs bounded memory, and honest peers are served
//!   meanwhile.

mod fair;
mod surface;
