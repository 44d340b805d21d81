//! Runs everything that was chosen, one after the other, and collects what came of it.
//! Does not judge: a peer that fails in a row is told of, and the rest goes on.

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};

use super::contenders::{Contender, OURS};
use super::report::{Failure, Memory, Results, Settings};
use crate::comparison::{Comparison, Sample};
use crate::durable::{self, COUNTINGS, Turns};
use crate::load::idle::{self, Idle};
use crate::rows::{Kind, Row};
use crate::sampling::Sampling;
use crate::server::{Recipe, Server};
use crate::suite::description::Machine;

/// What is to be measured.
#[derive(Debug)]
pub struct Plan<'a> {
    /// Every row of every server that is of its kind.
    pub rows: Vec<Row>,
    /// Once in each repetition.
    pub repetitions: usize,
    /// A sample.
    pub sampling: Sampling,
    /// The memory of an idle connection, with so many of them.
    pub idle: Option<usize>,
    /// Durable increments, and the counters' server.
    pub durable: Option<(&'a Recipe, Turns<'a>)>,
}

/// Runs the plan, with a bar that shows how far it is.
pub fn run(plan: &Plan, contenders: &[Contender]) -> Result<Results> {
    let mut run = Run {
        contenders,
        bar: bar(plan.steps(contenders))?,
        failures: Vec::new(),
    };
    let machine = Machine::read()?;
    let durable = run.durable(plan)?;
    let memory = run.memory(plan)?;
    let comparison = run.rows(plan)?;
    run.bar.finish_and_clear();

    let mut servers: Vec<(String, String)> = Vec::new();
    for contender in contenders {
        let name = contender.recipe.name.to_owned();
        if servers.iter().all(|(known, _)| *known != name) {
            servers.push((name, contender.version.clone()));
        }
    }
    Ok(Results {
        machine,
        settings: Settings {
            seconds: plan.sampling.seconds,
            repetitions: plan.repetitions,
            tries: plan.sampling.tries,
        },
        servers,
        comparison,
        memory,
        durable,
        failures: run.failures,
    })
}

impl Plan<'_> {
    fn steps(&self, contenders: &[Contender]) -> usize {
        let of = |kind| contenders.iter().filter(|c| c.kind == kind).count();
        let samples: usize = self.rows.iter().map(|row| of(row.kind)).sum();
        let memory = self.idle.map_or(0, |_| of(Kind::Echo));
        let durable = self.durable.as_ref().map_or(0, |_| COUNTINGS.len());
        samples * self.repetitions + memory + durable
    }
}

struct Run<'a> {
    contenders: &'a [Contender],
    bar: ProgressBar,
    failures: Vec<Failure>,
}

impl<'a> Run<'a> {
    fn durable(&mut self, plan: &Plan) -> Result<Vec<durable::Report>> {
        let Some((counter, turns)) = plan.durable else {
            return Ok(Vec::new());
        };
        let mut reports = Vec::new();
        for counting in COUNTINGS {
            let step = format!("durable increments, {} counters", counting.counters);
            self.bar.set_message(step);
            reports.push(durable::measure(counter, counting, turns)?);
            self.bar.inc(1);
        }
        Ok(reports)
    }

    /// Each figure is from a fresh server, and no other one runs.
    fn memory(&mut self, plan: &Plan) -> Result<Vec<Memory>> {
        let mut memory = Vec::new();
        let Some(conns) = plan.idle else {
            return Ok(memory);
        };
        for contender in self.contenders.iter().filter(|c| c.kind == Kind::Echo) {
            let server = contender.recipe.name;
            self.bar.set_message(format!("memory, {server}"));
            match each_idle(&contender.recipe, conns) {
                Ok(bytes) => memory.push(Memory {
                    server,
                    conns,
                    bytes,
                }),
                Err(error) => self.failed("memory", server, &error),
            }
            self.bar.inc(1);
        }
        Ok(memory)
    }

    fn rows(&mut self, plan: &Plan) -> Result<Comparison> {
        let mut servers = self.start(&plan.rows)?;
        let mut names: Vec<_> = Vec::new();
        for contender in self.contenders {
            if !names.contains(&contender.recipe.name) {
                names.push(contender.recipe.name);
            }
        }
        let mut samples = Vec::new();
        for repetition in 0..plan.repetitions {
            for row in &plan.rows {
                let able = servers
                    .iter_mut()
                    .filter(|(contender, _)| contender.kind == row.kind);
                let mut able: Vec<_> = able.collect();
                // Another server goes first each time: none is always the one after a big load.
                let first = repetition % able.len().max(1);
                able.rotate_left(first);
                for (contender, server) in able {
                    let name = contender.recipe.name;
                    self.bar.set_message(format!("{}, {name}", row.name));
                    let failed = |f: &Failure| f.row == row.name && f.server == name;
                    if !self.failures.iter().any(failed) {
                        match plan.sampling.take(*row, server, repetition) {
                            Ok(sample) => {
                                self.tell(&sample);
                                samples.push(sample);
                            }
                            Err(error) => {
                                self.failed(row.name, name, &error);
                                // What it is in now is unknown.
                                *server = contender.recipe.start()?;
                            }
                        }
                    }
                    self.bar.inc(1);
                }
            }
        }
        Ok(Comparison {
            servers: names,
            rows: plan.rows.clone(),
            samples,
        })
    }

    /// Starts the servers that a row needs.
    fn start(&self, rows: &[Row]) -> Result<Vec<(&'a Contender, Server)>> {
        let needed = |c: &&Contender| rows.iter().any(|row| row.kind == c.kind);
        let start = |contender: &'a Contender| {
            let recipe = &contender.recipe;
            self.bar.set_message(format!("starting {}", recipe.name));
            let server = recipe.start();
            let server = server.with_context(|| format!("starting {}", recipe.name))?;
            Ok((contender, server))
        };
        self.contenders.iter().filter(needed).map(start).collect()
    }

    /// Where no bar is seen, a line for each sample.
    fn tell(&self, sample: &Sample) {
        if self.bar.is_hidden() {
            eprintln!(
                "{:<14} {:<17} {:>8.2} µs {:>10.0}/s  others {:.0}%",
                sample.row,
                sample.server,
                sample.cpu_us,
                sample.per_second,
                sample.others * 100.0
            );
        }
    }

    fn failed(&mut self, row: &'static str, server: &'static str, error: &anyhow::Error) {
        let error = format!("{error:#}");
        self.bar
            .suspend(|| eprintln!("\n*** {server} has failed in {row}: {error} ***\n"));
        self.failures.push(Failure { row, server, error });
    }
}

impl Results {
    /// An error if ours has failed: that a peer does is a result.
    pub fn check(&self) -> Result<()> {
        match self.failures.iter().find(|f| f.server == OURS) {
            None => Ok(()),
            Some(failure) => {
                anyhow::bail!("{OURS} has failed in {}: {}", failure.row, failure.error)
            }
        }
    }
}

fn each_idle(recipe: &Recipe, conns: usize) -> Result<f64> {
    let server = recipe.start()?;
    let idle = Idle {
        conns,
        one_message: true,
        announce: None,
    };
    Ok(idle::run(server.target(), idle)?.idle_each.anon)
}

fn bar(steps: usize) -> Result<ProgressBar> {
    let style = "{bar:30} {percent:>3}%, {eta} left  {msg}";
    let bar = ProgressBar::new(steps as u64);
    bar.set_style(ProgressStyle::with_template(style)?);
    Ok(bar)
}
