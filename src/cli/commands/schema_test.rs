//! The published schemas of the commands that need no run are those of their types.

use crate::domain::prices::PriceFile;
use crate::views::schema_test::check;

#[test]
fn the_schemas_of_commands_without_a_run_are_those_of_their_types() {
    check::<super::init::InitDocument>("init.json");
    check::<super::trust::TrustDocument>("trust.json");
    check::<super::list_templates::TemplateList>("list-templates.json");
    check::<super::show_template::TemplateDocument>("show-template.json");
    check::<super::template::TemplateTaken>("template.json");
    check::<super::export_template::TemplateExported>("export-template.json");
    check::<super::validate_template::Validation>("validate-template.json");
    check::<super::config::ConfigDocument>("config.json");
    check::<PriceFile>("prices.json");
    check::<crate::workspace::SearchResponse>("search.json");
    check::<crate::workspace::Recommendation>("recommend.json");
    check::<crate::workspace::memory::backtest::Backtest>("backtest.json");
    check::<crate::workspace::memory::backtest::Whatif>("whatif.json");
    check::<crate::workspace::Suggested>("suggest.json");
    check::<crate::workspace::memory::recall::Indexed>("reindex.json");
    check::<crate::workspace::models::ModelList>("model-list.json");
    check::<super::model::ModelFetched>("model-fetch.json");
    check::<super::report::ReportDocument>("report.json");
    check::<super::man::ManPages>("man.json");
    check::<super::mcp::McpToolList>("mcp-tools.json");
    check::<crate::memory::collection::Quality>("bench-search.json");
    check::<crate::analytics::report::Analytics>("analytics.json");
    check::<crate::analytics::spending::CostReport>("costs.json");
    check::<crate::analytics::telemetry::TelemetryReport>("telemetry.json");
    check::<crate::analytics::telemetry::TelemetryLine>("telemetry-export.json");
    check::<super::telemetry::TelemetryExported>("telemetry-exported.json");
    check::<crate::workspace::memory::bench_route::RouteReport>("bench-route.json");
    check::<crate::workspace::memory::recommend_tasks::TaskAdvice>("recommend-tasks.json");
    check::<crate::workspace::AuditDocument>("audit.json");
    check::<crate::cli::render::audit_report::AuditReport>("audit-report.json");
    check::<crate::workspace::ReplayDocument>("replay-verify.json");
    check::<crate::audit::diff::RunDiff>("diff.json");
    check::<crate::audit::seal::Seal>("seal.json");
    check::<super::ui::UiLine>("ui.json");
}
