//! The plugin of the benches, a Markdown renderer and a template engine: it does what it is measured for.

use std::path::Path;

use moonfork::plugin::{PluginHost, Tenant};
use rstest::rstest;
use serde_json::{Value, json};

use crate::common;

fn tenant() -> Tenant {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/plugins/pages");
    let host = PluginHost::builder(common::pool()).path(path).load();
    host.unwrap_or_else(|error| panic!("{error}")).tenant("t")
}

/// Examples of CommonMark's, and of GitHub's tables, strikethrough and lists of tasks.
#[rstest]
#[case::headings("# A *b*\n\nC\n=\n", "<h1>A <em>b</em></h1>\n<h1>C</h1>\n")]
#[case::emphasis(
    "*a **b** c* ***d*** a_b_c",
    "<p><em>a <strong>b</strong> c</em> <em><strong>d</strong></em> a_b_c</p>\n"
)]
#[case::code(
    "`` a ` b ``\n\n```lua\nx < 1\n```",
    "<p><code>a ` b</code></p>\n<pre><code class=\"language-lua\">x &lt; 1\n</code></pre>\n"
)]
#[case::indented("    a\n      b", "<pre><code>a\n  b\n</code></pre>\n")]
#[case::links(
    "[a](/b \"c\") [d][e] ![f](g)\n\n[e]: <h i> 'j'",
    "<p><a href=\"/b\" title=\"c\">a</a> <a href=\"h%20i\" title=\"j\">d</a> <img src=\"g\" alt=\"f\" /></p>\n"
)]
#[case::no_link("[a] [b](c", "<p>[a] [b](c</p>\n")]
#[case::addresses(
    "<http://a.b?c=d&e>",
    "<p><a href=\"http://a.b?c=d&amp;e\">http://a.b?c=d&amp;e</a></p>\n"
)]
#[case::tight(
    "- a\n- b\n  1. c",
    "<ul>\n<li>a</li>\n<li>b\n<ol>\n<li>c</li>\n</ol>\n</li>\n</ul>\n"
)]
#[case::loose(
    "3. a\n\n4. b",
    "<ol start=\"3\">\n<li>\n<p>a</p>\n</li>\n<li>\n<p>b</p>\n</li>\n</ol>\n"
)]
#[case::tasks(
    "* [x] a\n* [ ] b",
    "<ul>\n<li><input type=\"checkbox\" disabled=\"\" checked=\"\" /> a</li>\n<li><input type=\"checkbox\" disabled=\"\" /> b</li>\n</ul>\n"
)]
#[case::quotes(
    "> a\nb\n> > c",
    "<blockquote>\n<p>a\nb</p>\n<blockquote>\n<p>c</p>\n</blockquote>\n</blockquote>\n"
)]
#[case::rules("***\n- - -\n", "<hr />\n<hr />\n")]
#[case::breaks("a  \nb\\\nc\nd", "<p>a<br />\nb<br />\nc\nd</p>\n")]
#[case::entities("&copy; &#65; &nothing; & \\*", "<p>© A &amp;nothing; &amp; *</p>\n")]
#[case::html(
    "<div>\n*a*\n</div>\n\na <b>c</b>",
    "<div>\n*a*\n</div>\n<p>a <b>c</b></p>\n"
)]
#[case::table(
    "a | b\n-|:-:\n1 | ~~2~~",
    "<table>\n<thead>\n<tr>\n<th>a</th>\n<th align=\"center\">b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>1</td>\n<td align=\"center\"><del>2</del></td>\n</tr>\n</tbody>\n</table>\n"
)]
fn markdown(#[case] text: &str, #[case] html: &str) {
    let reply = tenant().call::<_, String>("pages", "markdown", &[text]);
    assert_eq!(reply.unwrap().value, html);
}

#[rstest]
#[case::values("{{ a }} {{ b.c[1] }} {{ missing }}|", json!({"a": "<", "b": {"c": [7]}}), "&lt; 7 |")]
#[case::operators("{{ 1 + 2 * 3 }} {{ 7 // 2 }} {{ 'a' .. 1 }} {{ 2 in [1, 2] }} {{ not 0 or false }}", json!({}), "7 3 a1 true true")]
#[case::conditions("{% if n > 1 %}many{% elseif n == 1 %}one{% else %}none{% endif %} {{ 'x' if n else 'y' }}", json!({"n": 1}), "one x")]
#[case::lists("{% for x in l if x > 1 %}{{ loop.index }}:{{ x }}{% if not loop.last %}, {% endif %}{% else %}none{% endfor %}", json!({"l": [1, 2, 3]}), "1:2, 2:3")]
#[case::filters("{{ l|sort|reverse|join('-') }} {{ t|title|replace(' ', '_') }} {{ 2.345|fixed(1) }}", json!({"l": [2, 3, 1], "t": "a cat"}), "3-2-1 A_Cat 2.3")]
#[case::macros("{% macro b(x, y=2) %}<b>{{ x }}{{ y }}</b>{% endmacro %}{{ b('&') }}{{ b(1, 3) }}", json!({}), "<b>&amp;2</b><b>13</b>")]
#[case::spaces("a {%- set x = 1 -%} b{# no #}", json!({}), "ab")]
#[case::markdown("{{ t|markdown }}{{ t }}", json!({"t": "*a*"}), "<p><em>a</em></p>\n*a*")]
fn templates(#[case] source: &str, #[case] data: Value, #[case] text: &str) {
    let reply = tenant().call::<_, String>("pages", "page", &(source, data));
    assert_eq!(reply.unwrap().value, text);
}

#[rstest]
#[case("{{ 1 + }}", "line 1 of the template: the expression ends too early")]
#[case("\n{% if x %}", "line 2 of the template: `{% ")]
#[case("{{ x|nothing }}", "there is no filter `nothing`")]
fn mistakes_in_templates(#[case] source: &str, #[case] message: &str) {
    let reply = tenant().call::<_, String>("pages", "page", &[source]);
    let error = reply.unwrap_err().to_string();
    assert!(error.contains(message), "{error}");
}
