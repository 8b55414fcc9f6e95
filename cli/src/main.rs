//! The command-line tool: files in, files out, over the library's public API.

mod analysis;
mod archive;
mod args;
mod batch;
mod classic;
mod commands;
mod compared;
mod dataset;
mod described;
mod failure;
mod frame;
mod goal;
mod header;
mod measure;
mod netcdf_in;
mod netcdf_out;
mod npy;
mod picture;
mod progress;
mod report;
mod settings;
mod source;
mod target;

use args::{Cli, Command};
use clap::Parser;
use failure::Failure;
use fieldpress::archive::is_archive;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    progress::start_logging();
    match failure::caught(|| run(&cli.command), failure::own_fault) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("fieldpress: {}", report::plain(&failure.to_string()));
            failure.exit_code()
        }
    }
}

fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Compress(args) => batch::compress(args),
        Command::Decompress(args) => batch::decompress(args),
        Command::Info(args) if is_archive(args.input.as_ref()) => archive::info(&args.input, args.json),
        Command::Info(args) => commands::info(args),
        Command::Verify(args) if args.stream.is_none() => archive::check(args),
        Command::Verify(args) if args.stream.as_ref().is_some_and(|name| is_archive(name.as_ref())) => {
            compared::verify(args)
        }
        Command::Verify(args) => commands::verify(args),
        Command::Suggest(args) => analysis::suggest(args),
        Command::Plot(args) if args.stream.is_none() => archive::plot(args),
        Command::Plot(args) => commands::plot(args),
        Command::Extract(args) => archive::extract(args),
        Command::Repair(args) => archive::mend(args),
    }
}
