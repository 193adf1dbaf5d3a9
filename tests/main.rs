//! All integration tests in one binary: linking the dependency tree once is most of the time they take.

#[path = "suite/analytics.rs"]
mod analytics;
#[path = "suite/architecture.rs"]
mod architecture;
#[path = "suite/bench_route.rs"]
mod bench_route;
#[path = "suite/browser.rs"]
mod browser;
#[path = "suite/canary.rs"]
mod canary;
#[path = "suite/checking.rs"]
mod checking;
#[path = "suite/completions.rs"]
mod completions;
#[path = "suite/crash.rs"]
mod crash;
#[path = "suite/demo.rs"]
mod demo;
#[path = "suite/deny.rs"]
mod deny;
#[path = "suite/derived.rs"]
mod derived;
#[path = "suite/engines.rs"]
mod engines;
#[path = "suite/escapes.rs"]
mod escapes;
#[path = "suite/examples.rs"]
mod examples;
#[path = "suite/experience.rs"]
mod experience;
#[path = "suite/fixing.rs"]
mod fixing;
#[path = "suite/following.rs"]
mod following;
#[path = "suite/fork.rs"]
mod fork;
#[path = "suite/fuzz.rs"]
mod fuzz;
#[path = "support/harness.rs"]
mod harness;
#[path = "suite/hints.rs"]
mod hints;
#[path = "suite/identity.rs"]
mod identity;
#[path = "suite/import.rs"]
mod import;
#[path = "suite/imported_logs.rs"]
mod imported_logs;
#[path = "suite/imported_money.rs"]
mod imported_money;
#[path = "suite/keeping.rs"]
mod keeping;
#[path = "suite/lake.rs"]
mod lake;
#[path = "suite/laws.rs"]
mod laws;
#[path = "suite/library.rs"]
mod library;
#[path = "support/llm_server.rs"]
mod llm_server;
#[path = "suite/llm_turns.rs"]
mod llm_turns;
#[path = "suite/mcp_door.rs"]
mod mcp_door;
#[path = "suite/mcp_http.rs"]
mod mcp_http;
#[path = "support/mcp_server.rs"]
mod mcp_server;
#[path = "suite/mcp_servers.rs"]
mod mcp_servers;
#[path = "suite/mcp_tools.rs"]
mod mcp_tools;
#[path = "suite/memory.rs"]
mod memory;
#[path = "suite/outputs.rs"]
mod outputs;
#[path = "suite/page.rs"]
mod page;
#[path = "suite/page_answers.rs"]
mod page_answers;
#[path = "suite/page_lists.rs"]
mod page_lists;
#[path = "suite/page_live.rs"]
mod page_live;
#[path = "support/page.rs"]
mod page_server;
#[path = "suite/page_size.rs"]
mod page_size;
#[path = "support/planted.rs"]
mod planted;
#[path = "suite/power_cut.rs"]
mod power_cut;
#[path = "suite/providers.rs"]
mod providers;
#[path = "suite/questions.rs"]
mod questions;
#[path = "suite/recommend.rs"]
mod recommend;
#[path = "suite/releasing.rs"]
mod releasing;
#[path = "suite/reports.rs"]
mod reports;
#[path = "suite/runs.rs"]
mod runs;
#[path = "suite/sealing.rs"]
mod sealing;
#[path = "suite/shipped_templates.rs"]
mod shipped_templates;
#[path = "support/source.rs"]
mod source;
#[path = "suite/sync.rs"]
mod sync;
#[path = "suite/syncs.rs"]
mod syncs;
#[path = "suite/together.rs"]
mod together;
#[path = "suite/tools.rs"]
mod tools;
#[path = "suite/transcript_parts.rs"]
mod transcript_parts;
#[path = "suite/transcript_sources.rs"]
mod transcript_sources;
#[path = "suite/transcript_traps.rs"]
mod transcript_traps;
#[path = "suite/transcripts.rs"]
mod transcripts;
#[path = "suite/trust.rs"]
mod trust;
#[path = "suite/unwritable.rs"]
mod unwritable;
#[path = "support/webdriver.rs"]
mod webdriver;
#[path = "suite/wire.rs"]
mod wire;
#[path = "suite/writing.rs"]
mod writing;
