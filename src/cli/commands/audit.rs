//! `meno audit`: is everything as it was written, and does it hold together?

use std::fs;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;

use crate::audit::seal::{Seal, Signed};
use crate::cli::args::AuditArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::open;
use crate::cli::render::audit_report::ReportedRun;
use crate::cli::render::{audit, audit_report};
use crate::workspace::{Access, AuditDocument, AuditRequest, Workspace, proof::signing};

/// Audits the store or one run, and writes the report that was asked for.
///
/// # Errors
/// When there is no store or no such run, a file cannot be read or written, or the store cannot be read at all.
pub fn run(context: &mut Context, args: &AuditArgs) -> Result<Exit> {
    let (against, signed) = match &args.against {
        Some(path) => {
            let (seal, signed) = seal(path, args.signer.as_deref())?;
            (Some(seal), signed)
        }
        None => (None, None),
    };
    let workspace = open::store(context, Access::Read)?;
    let run = args.run.as_ref().map(|run| workspace.runs().find_own_run(&run.to_string())).transpose()?;
    let request = AuditRequest { run, against, signed };
    let is_told = !context.out.json();
    let mut failure = None;
    let document = workspace.proof().audit(&request, &mut |violation| {
        if is_told && failure.is_none() {
            failure = context.out.data(audit::violation(violation)).err();
        }
    })?;
    if let Some(report) = failure {
        return Err(report);
    }
    if let Some(path) = &args.report {
        write_report(&workspace, &request, &document, path)?;
        context.out.say(format!("the report is written to {}", path.display()));
    }
    if context.out.json() {
        context.out.document(&document)?;
    } else {
        let page = audit::audit(&context.out, &document);
        context.out.data(page)?;
    }
    Ok(if document.sound { Exit::Done } else { Exit::Violation })
}

/// Reads a seal, and checks its signature when there is one or one is asked for.
fn seal(path: &Path, signers: Option<&Path>) -> Result<(Seal, Option<Signed>)> {
    let failed = |why: String| {
        CliError::new("seal", Exit::Mendable, format!("cannot use the seal {}: {why}", path.display()))
            .hint("give the file that `meno seal -o FILE` wrote")
    };
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let seal = Seal::parse(&text).map_err(|error| failed(error.to_string()))?;
    let signature = signing::signature_of(path);
    let signed = match signature.exists() || signers.is_some() {
        true => Some(signing::check(text.as_bytes(), &signature, signers, Timestamp::now())?),
        false => None,
    };
    Ok((seal, signed))
}

/// Writes the report beside its place, then puts it there: run by run, so that nothing grows with the log.
fn write_report(workspace: &Workspace, request: &AuditRequest, document: &AuditDocument, path: &Path) -> Result<()> {
    let failed = |error: std::io::Error| CliError::cannot_write(path, &error);
    let beside = path.with_extension("part");
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside).map_err(failed)?;
    let mut file = BufWriter::new(file);
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let unsayable = |error: serde_json::Error| CliError::fault("the report cannot be written as JSON").source(&error);
    let head = if is_json {
        format!("{{\"audit\":{},\"runs\":[", serde_json::to_string(document).map_err(unsayable)?)
    } else {
        audit_report::head(document)
    };
    file.write_all(head.as_bytes()).map_err(failed)?;
    let mut separator = "\n";
    let mut section = |run| -> Result<()> {
        let detail = workspace.runs().detail(run)?.masked();
        let started_by = workspace.proof().started_by(run)?;
        let text = if is_json {
            let text = serde_json::to_string(&ReportedRun { started_by, run: detail }).map_err(unsayable)?;
            std::mem::replace(&mut separator, ",\n").to_owned() + &text
        } else {
            audit_report::run(&detail, started_by.as_deref())
        };
        file.write_all(text.as_bytes()).map_err(failed)
    };
    match request.run {
        Some(run) => section(run)?,
        None => workspace.proof().each_run(section)?,
    }
    if is_json {
        file.write_all(b"]}\n").map_err(failed)?;
    }
    file.flush().map_err(failed)?;
    drop(file);
    fs::rename(&beside, path).map_err(failed)
}
