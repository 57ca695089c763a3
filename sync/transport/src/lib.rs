//! Carries peer messages between replicas over MQTT
