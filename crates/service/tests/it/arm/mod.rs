//! Resource Manager over the embedded engines.

mod access;
mod activity;
mod authorities;
mod clocks;
mod directory;
mod fixture;
mod footprint;
mod key_store;
mod main_job;
mod operations;
mod processes;
mod retention;
mod views;
mod what_az_reads;
mod widget;
mod workers;
