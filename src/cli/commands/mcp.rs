//! `meno mcp`: serves the store to coding agents, or prints what their settings need.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::run::preset;
use crate::cli::args::{McpArgs, McpCommand};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::open;
use crate::cli::output::{HEADING, sanitize, styled, words};
use crate::domain::tool::ToolEffect;
use crate::mcp::client_config::Client;
use crate::mcp::{self, Options};
use crate::settings::Places;
use crate::tools::mcp::McpTool;
use crate::workspace::{Access, McpError};

/// `mcp tools --json` and `mcp allow --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "The tools of an MCP server, as `meno mcp tools --json` prints them")]
pub struct McpToolList {
    /// The server's name in the settings.
    pub server: String,
    /// Its tools, in its order.
    pub tools: Vec<McpToolLine>,
    /// Why tools that it has besides are left out.
    pub left_out: Vec<String>,
}

/// One tool of a server.
#[derive(Debug, Serialize, JsonSchema)]
pub struct McpToolLine {
    /// The name under which agents list it.
    pub name: String,
    /// The name under which models know it.
    pub model_name: String,
    /// What it does to the world: `writes` unless the settings believe the server.
    pub effect: ToolEffect,
    /// It was allowed as it is now.
    pub allowed: bool,
    /// What models are told of it.
    pub description: String,
    /// The JSON Schema of its arguments, as models are told it.
    pub parameters: serde_json::Value,
}

impl McpToolLine {
    fn new(tool: &McpTool, allowed: bool) -> Self {
        Self {
            name: tool.listed(),
            model_name: tool.spec.name.clone(),
            effect: tool.spec.effect,
            allowed,
            description: tool.spec.description.clone(),
            parameters: tool.spec.parameters.clone(),
        }
    }
}

/// Serves until the client leaves, or prints settings.
///
/// # Errors
/// When the store cannot be opened or the preset is not known.
pub fn run(context: &mut Context, args: &McpArgs) -> Result<Exit> {
    match &args.command {
        Some(McpCommand::Tools(server)) => return tools(context, &server.name),
        Some(McpCommand::Allow(server)) => return allow(context, &server.name),
        None => {}
    }
    let preset = args.preset.as_deref().map(preset).transpose()?;
    if let Some(client) = args.print_config {
        return print_config(context, args, client);
    }
    if context.out.json() {
        return Err(CliError::usage("`--json` does not go with `mcp`, which speaks a protocol of its own")
            .hint("`meno search WORDS --json` and the other commands print JSON"));
    }
    mcp::serve(&context.global, Options { allow_run: args.allow_run, budget: args.budget, preset })
}

fn tools(context: &mut Context, name: &str) -> Result<Exit> {
    let workspace = open::store(context, Access::Surroundings)?;
    let offer = workspace.runs().mcp_tools(name).map_err(|error| match error {
        // This command is what tries a server alone.
        error @ McpError::Fault(_) => {
            CliError::from(error).hint(format!("correct what stands under [mcp.{}]", sanitize::line(name)))
        }
        error => error.into(),
    })?;
    show(context, name, offer.tools.iter().map(|(tool, allowed)| McpToolLine::new(tool, *allowed)).collect(), offer.left_out)
}

fn allow(context: &mut Context, name: &str) -> Result<Exit> {
    let workspace = open::store(context, Access::Surroundings)?;
    let tools = workspace.runs().allow_mcp(name)?;
    if context.out.json() {
        return show(context, name, tools.iter().map(|tool| McpToolLine::new(tool, true)).collect(), Vec::new());
    }
    let count = words::plural(tools.len() as u64, "tool");
    context.out.say(format!("allowed {count} of `{}` as they are now", sanitize::line(name)));
    Ok(Exit::Done)
}

fn show(context: &mut Context, name: &str, tools: Vec<McpToolLine>, left_out: Vec<String>) -> Result<Exit> {
    if context.out.json() {
        context.out.document(&McpToolList { server: name.to_owned(), tools, left_out })?;
        return Ok(Exit::Done);
    }
    if tools.is_empty() {
        context.out.say("the server has no tools");
    }
    for tool in tools {
        let state = if tool.allowed { "allowed" } else { "not allowed as it is now" };
        let description = tool.description.split_once('\n').map_or("", |(_, own)| own);
        let head = format!("{}  {}, {state}", styled(HEADING, sanitize::line(&tool.name)), tool.effect);
        context.out.data(format!("{head}\n{}", sanitize::text(description)))?;
        context.out.data(format!("arguments: {}", sanitize::line(&tool.parameters.to_string())))?;
    }
    for why in left_out {
        context.out.say(format!("left out: {}", sanitize::line(&why)));
    }
    Ok(Exit::Done)
}

fn print_config(context: &mut Context, args: &McpArgs, client: Client) -> Result<Exit> {
    if let Some(url) = &args.url {
        if !url.starts_with("http://") || !url.ends_with("/mcp") {
            return Err(CliError::usage(format!("`--url {}` is no address of `meno ui`", sanitize::line(url)))
                .hint("it looks like http://127.0.0.1:4690/mcp"));
        }
        context.out.say(format!("paste into {}; {}", client.file(), client.token_words()));
        context.out.verbatim(client.http_settings(url).trim_end())?;
        return Ok(Exit::Done);
    }
    let program = std::env::current_exe()?;
    let mut words = vec!["mcp".to_owned()];
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
    let (global, places) = (&context.global, Places::of_process(&context.variables)?);
    // The client starts the server in an environment of its own, in which these variables are not set.
    let (store, config) = (global.store.clone().or(places.store_variable), global.config.clone().or(places.config_variable));
    for (option, path) in [("--store", &store), ("--config", &config), ("--prices", &global.prices)] {
        words.extend(path.iter().flat_map(|path| [option.to_owned(), absolute(path)]));
    }
    if args.allow_run {
        words.push("--allow-run".to_owned());
    }
    words.extend(args.budget.iter().flat_map(|budget| ["--budget".to_owned(), budget.to_decimal()]));
    words.extend(args.preset.iter().flat_map(|preset| ["--preset".to_owned(), preset.clone()]));
    context.out.say(format!("paste into {}", client.file()));
    context.out.verbatim(client.settings(&program.display().to_string(), &words).trim_end())?;
    Ok(Exit::Done)
}
