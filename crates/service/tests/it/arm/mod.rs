//! Resource Manager over the embedded engines.

mod access;
mod activity;
mod authorities;
mod clocks;
mod fixture;
mod footprint;
mod key_store;
mod main_job;
mod operations;
mod processes;
mod properties;
mod retention;
mod synchronizing;
mod views;
mod widget;
mod workers;
