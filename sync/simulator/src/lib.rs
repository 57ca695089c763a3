//! Virtual replicas on virtual time, one seed a run
