//! What does the process itself cost?
//!
//! Promises: the `process_*` figures under the names every Prometheus board expects, read from `/proc/self` at each
//! scrape (proc(5)); where a file cannot be read the figure is left out, never guessed.
//!
//! Must not know: anything of Porteiro.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, Opts};

/// `USER_HZ` is 100 on every Linux this runs on (time(7)).
const TICKS_PER_SECOND: f64 = 100.0;
/// A page is 4 KiB on x86-64 and on the aarch64 kernels this is built for; `VmRSS` of `/proc/self/status` is used
/// instead of pages, so that no page size is needed.
const KIB: f64 = 1024.0;

pub(super) struct Process {
    cpu: Counter,
    resident: Gauge,
    virtual_memory: Gauge,
    open_files: Gauge,
    max_files: Gauge,
    started: Gauge,
    threads: Gauge,
}

impl Process {
    pub(super) fn new() -> Self {
        let gauge = |name: &str, help: &str| Gauge::with_opts(Opts::new(name, help)).expect("a valid name");
        Self {
            cpu: Counter::with_opts(Opts::new("process_cpu_seconds_total", "User and system CPU time spent."))
                .expect("a valid name"),
            resident: gauge("process_resident_memory_bytes", "Resident memory."),
            virtual_memory: gauge("process_virtual_memory_bytes", "Virtual memory."),
            open_files: gauge("process_open_fds", "Open file descriptors."),
            max_files: gauge("process_max_fds", "File descriptors the process may open."),
            started: gauge("process_start_time_seconds", "When the process started."),
            threads: gauge("process_threads", "Threads of the process."),
        }
    }

    fn all(&self) -> [&dyn Collector; 7] {
        [
            &self.cpu,
            &self.resident,
            &self.virtual_memory,
            &self.open_files,
            &self.max_files,
            &self.started,
            &self.threads,
        ]
    }

    fn refresh(&self) {
        if let Ok(stat) = std::fs::read_to_string("/proc/self/stat") {
            // The name in parentheses may hold spaces: count the fields behind its last parenthesis.
            let fields: Vec<f64> = stat
                .rsplit(')')
                .next()
                .unwrap_or_default()
                .split_ascii_whitespace()
                .map(|field| field.parse().unwrap_or(0.0))
                .collect();
            let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0.0);
            let spent = (field(14) + field(15)) / TICKS_PER_SECOND;
            self.cpu.inc_by((spent - self.cpu.get()).max(0.0));
            self.threads.set(field(20));
            if let Some(booted) = boot_time() {
                self.started.set(booted + field(22) / TICKS_PER_SECOND);
            }
        }
        if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
            self.resident.set(line_value(&status, "VmRSS:") * KIB);
            self.virtual_memory.set(line_value(&status, "VmSize:") * KIB);
        }
        if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
            // The directory that is being read is one of them.
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            self.open_files.set(files.count().saturating_sub(1) as f64);
        }
        if let Ok(limits) = std::fs::read_to_string("/proc/self/limits") {
            self.max_files.set(line_value(&limits, "Max open files"));
        }
    }
}

fn boot_time() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// The first number behind `key` on the line that starts with it; 0 where there is none.
fn line_value(text: &str, key: &str) -> f64 {
    text.lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|rest| rest.split_ascii_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0.0)
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.refresh();
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}
