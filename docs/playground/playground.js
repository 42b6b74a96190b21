import { loadPyodide } from "./pyodide.mjs";

const of = (id) => document.getElementById(id);
const ALONE = ["join", "knock", "leave"];
const EXAMPLE = [
  { type: "m.room.create", sender: "@ana:a.example", state_key: "", content: { room_version: "11" } },
  { type: "m.room.member", sender: "@ana:a.example", state_key: "@ana:a.example", content: { membership: "join" } },
  { type: "m.room.member", sender: "@ana:a.example", state_key: "@ben:b.example", content: { membership: "ban" } },
  { type: "m.room.join_rules", sender: "@ana:a.example", state_key: "", content: { join_rule: "public" } },
  { type: "m.room.power_levels", sender: "@ana:a.example", state_key: "", content: { users: { "@ana:a.example": 100 } } },
];

of("state").value = JSON.stringify(EXAMPLE, null, 2);
const chosen = () => { of("target").hidden = ALONE.includes(of("question").value); };
of("question").addEventListener("change", chosen);
chosen();

const python = await loadPyodide({ indexURL: "./" });
python.unpackArchive(await (await fetch("packages.zip")).arrayBuffer(), "zip", { extractDir: "/packages" });
python.runPython("import sys; sys.path.insert(0, '/packages')");
python.runPython(await (await fetch("ask.py")).text());
const ask = python.globals.get("ask");

of("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const target = of("target").hidden ? "" : of("target").value.trim();
  const said = JSON.parse(ask(of("state").value, of("user").value.trim(), of("question").value, target));
  of("result").hidden = false;
  of("verdict").textContent = said.error ? "This cannot be answered" : { yes: "Yes", no: "No", unknown: "Unknown" }[said.verdict];
  of("answer").textContent = said.error ?? said.answer;
  of("links").hidden = !said.rule;
  of("rule").href = `../${said.rule}`;
  of("specification").href = said.specification ?? "";
  of("help").hidden = !said.remedies?.length;
  of("remedies").replaceChildren(...(said.remedies ?? []).map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
  of("explanation").textContent = said.explanation ?? "";
});
of("ask").textContent = "Ask";
of("ask").disabled = false;
