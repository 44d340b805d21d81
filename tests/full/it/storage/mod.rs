//! Storages: what each must hold, against a model, and under `kill -9`.

mod faulty;
mod killed;
mod model;
mod suite;
