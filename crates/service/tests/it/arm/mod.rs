//! Resource Manager over the embedded engines.

mod access;
mod activity;
mod activity_log;
mod authorities;
mod certificates;
mod clocks;
mod directory;
mod fixture;
mod footprint;
mod identities;
mod key_store;
mod lists;
mod main_job;
mod master_key;
mod operations;
mod owners;
mod possession;
mod processes;
mod properties;
mod retention;
mod rotation;
mod synchronizing;
mod views;
mod what_az_reads;
mod widget;
mod workers;
