//! Versioned taxonomy data.
