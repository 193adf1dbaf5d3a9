//! What a person answers on the page, and where a run leads.

use std::fs;

use serde_json::{Value, json};

use crate::harness::House;
use crate::page::{ended, started, template};
use crate::page_server::Served;

#[test]
fn several_escalations_are_answered_at_once_from_the_list_and_an_end_is_asked_for_twice() {
    let house = House::new();
    let mut three = template();
    let rule = three["agent_composition_rules"][0].clone();
    let rules = three["agent_composition_rules"].as_array_mut().expect("rules");
    for role in ["second", "third"] {
        rules.push(rule.clone());
        rules.last_mut().expect("a rule")["role"] = json!(role);
    }
    house.template("look", &three);
    let refused = |role: &str| json!({"role": role, "attempt": 1, "stop": "refusal"});
    let replies = json!({"replies": [refused("looker"), refused("second"), refused("third"), {"times": 9, "text": "far"}]});
    fs::write(house.path("script.json"), replies.to_string()).expect("written");
    house.configure(&format!(
        "preset = \"simulated\"\n[memory]\nembed_ms = 0\n[simulated]\nscript = \"{}\"\n",
        house.path("script.json").display()
    ));
    let served = Served::admitted(&house, &[]);
    let run = started(&served, &[("escalate", "ask")]);
    assert_eq!(ended(&house, &run)["status"], "awaiting_input");
    let needs = served.page("/needs");
    assert!(needs.contains("3 escalations wait for an answer; together"), "{needs}");
    assert_eq!((needs.matches("that may cost up to $").count(), needs.matches("type=\"radio\"").count()), (4, 9), "{needs}");
    let place = format!("/runs/{run}/approve");
    let agents = [("agent", "0"), ("agent", "1"), ("agent", "2"), ("back", "needs")];
    assert_eq!(served.post(&place, &agents).status, 400, "nothing was chosen");
    let chosen = [&agents[..], &[("answer.0", "yes"), ("answer.1", "yes"), ("answer.2", "")]].concat();
    let answer = served.post(&place, &chosen);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/needs")), "{}", answer.body);
    let detail = ended(&house, &run);
    let tries = |agent: usize| detail["agents"][agent]["attempts"].as_array().map(Vec::len);
    assert_eq!((&detail["status"], tries(0), tries(1), tries(2)), (&json!("awaiting_input"), Some(2), Some(2), Some(1)));
    let granted: Vec<&Value> = detail["approvals"].as_array().expect("approvals").iter().map(|it| &it["granted"]).collect();
    assert_eq!(granted, [&json!(true), &json!(true), &Value::Null], "one is for later");
    let page = served.page(&format!("/runs/{run}"));
    let (_, ending) = page.split_once("<details class=\"ending\"").expect("what asks once more");
    let (summary, form) = ending.split_once("</summary>").expect("a summary");
    assert!(summary.contains("End this run for good") && !summary.contains("<form"), "{summary}");
    assert!(form.contains("/cancel\"") && form.contains("Yes, end it for good"), "{form}");
}

#[test]
fn a_run_leads_to_its_template_to_runs_like_it_and_to_what_it_is_compared_with() {
    let house = House::with_delay(0);
    house.meno(["run", "python_package_publish", "--no-input", "--seed", "7"]).ends();
    house.meno(["fork", "last", "--agent", "publisher"]).ends();
    let served = Served::admitted(&house, &[]);
    let listed: Value = serde_json::from_str(&served.page("/api/runs")).expect("JSON");
    let [child, parent] = [0, 1].map(|place| listed["runs"][place]["run_id"].as_str().expect("an id"));
    let page = served.page(&format!("/runs/{child}"));
    for link in [
        "/templates/python_package_publish".to_owned(),
        format!("/memory?like={child}"),
        format!("/compare?a={parent}&amp;b={child}"),
        format!("/compare?b={child}"),
    ] {
        assert!(page.contains(&format!("href=\"{link}\"")), "{link}: {page}");
        assert_eq!(served.get(&link.replace("&amp;", "&")).status, 200, "{link}");
    }
    assert!(served.page(&format!("/compare?b={child}")).contains(&format!("name=\"b\" value=\"{child}\"")));
    assert!(!served.page(&format!("/runs/{parent}")).contains("it was forked from"));
}
