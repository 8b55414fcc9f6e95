//! Empty: what this package does is in its build script.
