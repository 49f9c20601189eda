//! Pure SLA arithmetic.
