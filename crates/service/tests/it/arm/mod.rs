//! Resource Manager over the embedded engines.

mod access;
mod fixture;
mod main_job;
mod operations;
mod views;
