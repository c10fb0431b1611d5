//! Which library was loaded.

use std::ffi::{CStr, c_char};

/// Counts the incompatible changes of this header. Compare with `qaio_abi_version()` to be sure that the library that
/// was loaded is the one that was compiled against.
pub const QAIO_ABI_VERSION: u32 = 1;

/// Semantic version and git revision, such as "0.1.0+1a2b3c4", from build.rs.
const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("QAIO_FULL_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("a version has no NUL inside"),
};

/// The QAIO_ABI_VERSION of the loaded library.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn qaio_abi_version() -> u32 {
    QAIO_ABI_VERSION
}

/// Version and git revision of the loaded library, such as "0.1.0+1a2b3c4" (its beginning is QAIO_VERSION). Static.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn qaio_version() -> *const c_char {
    VERSION.as_ptr()
}
