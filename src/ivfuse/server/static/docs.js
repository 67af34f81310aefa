// The API's own description, drawn as a page.

const make = (tag, facts = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), facts);
  made.append(...children);
  return made;
};

/** Text whose `code` is set as code. */
const prose = (text) => text.split("`").map((part, index) => (index % 2 ? make("code", { textContent: part }) : part));

const table = (rows) => make("div", { className: "scroll" }, make("table", {}, ...rows.map((cells) =>
  make("tr", {}, ...cells.map((cell, index) => make(index ? "td" : "th", {}, ...[cell].flat()))))));

const known = (api, schema) => (schema?.$ref ? api.components.schemas[schema.$ref.split("/").pop()] : schema);

function kind(api, schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.join(" or ");
  if (schema.const) return schema.const;
  if (schema.anyOf) return schema.anyOf.map((each) => kind(api, each)).join(" or ");
  if (schema.format === "binary") return "file";
  if (schema.type === "array") return `list of ${kind(api, schema.items)}`;
  return schema.type ?? "";
}

function fields(api, schema) {
  const { properties = {}, required = [] } = known(api, schema) ?? {};
  return table(Object.entries(properties).map(([name, field]) => {
    const more = required.includes(name) ? " needed." : field.default !== undefined && field.default !== "" ? ` ${field.default} if left out.` : "";
    return [make("code", { textContent: name }), kind(api, field), prose((field.description ?? "") + more)];
  }));
}

function address(api, path, verb, facts) {
  const body = facts.requestBody?.content["multipart/form-data"]?.schema;
  const parts = [make("summary", {}, make("span", { className: "verb", textContent: verb.toUpperCase() }), make("code", { textContent: path }),
    make("span", { textContent: (facts.description ?? "").split("\n")[0] }))];
  const more = (facts.description ?? "").split("\n\n").slice(1);
  parts.push(...more.map((text) => make("p", {}, ...prose(text))));
  if (facts.parameters?.length) {
    parts.push(make("h3", { textContent: "In the address" }), table(facts.parameters.map((each) => [make("code", { textContent: each.name }), kind(api, each.schema)])));
  }
  if (body) parts.push(make("h3", { textContent: "Fields of the form" }), fields(api, body));
  for (const [type, { schema }] of Object.entries(facts.responses["200"]?.content ?? {})) {
    if (type === "application/json" && known(api, schema)?.properties) parts.push(make("h3", { textContent: "JSON" }), fields(api, schema));
  }
  parts.push(make("h3", { textContent: "Answers" }), table(Object.entries(facts.responses).map(([status, { description, content }]) =>
    [status, Object.keys(content ?? {}).join(", "), description])));
  return make("details", { className: "address" }, ...parts);
}

document.getElementById("example").textContent = `curl -F ir=@thermal.png -F vi=@visible.jpg -o fused.png ${location.origin}/api/fuse`;
const place = document.getElementById("addresses");
try {
  const api = await (await fetch("/openapi.json")).json();
  document.getElementById("about").append(...api.info.description.split("\n\n").map((text) => make("p", {}, ...prose(text))));
  place.replaceChildren(make("h2", { textContent: "Addresses" }), ...Object.entries(api.paths).flatMap(([path, verbs]) => Object.entries(verbs).map(([verb, facts]) => address(api, path, verb, facts))));
} catch {
  place.textContent = "The description could not be loaded; it stands at /openapi.json.";
}
