//! Resource Manager over the embedded engines.

mod access;
mod activity;
mod authorities;
mod clocks;
mod fixture;
mod footprint;
mod identities;
mod key_store;
mod main_job;
mod operations;
mod owners;
mod processes;
mod retention;
mod views;
mod widget;
mod workers;
