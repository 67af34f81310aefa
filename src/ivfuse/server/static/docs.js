// Renders the OpenAPI description of the server as a page.

import { make } from "/static/dom.js";

/** Text with `code` in backticks as code elements. */
const prose = (text) => text.split("`").map((part, index) => (index % 2 ? make("code", { textContent: part }) : part));

const table = (rows) => make("div", { className: "scroll", tabIndex: 0 }, make("table", {}, ...rows.map((cells) =>
  make("tr", {}, ...cells.map((cell, index) => make(index ? "td" : "th", {}, ...[cell].flat()))))));

const resolve = (api, schema) => (schema?.$ref ? api.components.schemas[schema.$ref.split("/").pop()] : schema);

function typeName(api, schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.join(" or ");
  if (schema.const) return schema.const;
  if (schema.anyOf) return schema.anyOf.map((each) => typeName(api, each)).join(" or ");
  if (schema.format === "binary") return "file";
  if (schema.type === "array") return `list of ${typeName(api, schema.items)}`;
  return schema.type ?? "";
}

/** A table of fields; `requiredText` marks required ones. */
function fields(api, schema, requiredText = "") {
  const { properties = {}, required = [] } = resolve(api, schema) ?? {};
  return table(Object.entries(properties).map(([name, field]) => {
    const more = required.includes(name) ? requiredText : field.default !== undefined && field.default !== "" ? ` Default: ${field.default}.` : "";
    return [make("code", { textContent: name }), typeName(api, field), prose(`${field.description ?? ""}${more}`.trim())];
  }));
}

function endpoint(api, path, verb, operation) {
  const body = operation.requestBody?.content["multipart/form-data"]?.schema;
  const parts = [make("summary", {}, make("span", { className: "verb", textContent: verb.toUpperCase() }), make("code", { textContent: path }),
    make("span", { textContent: (operation.description ?? "").split("\n")[0] }))];
  const more = (operation.description ?? "").split("\n\n").slice(1);
  parts.push(...more.map((text) => make("p", {}, ...prose(text))));
  if (operation.parameters?.length) {
    parts.push(make("h3", { textContent: "Path parameters" }), table(operation.parameters.map((each) => [make("code", { textContent: each.name }), typeName(api, each.schema)])));
  }
  if (body) parts.push(make("h3", { textContent: "Form fields" }), fields(api, body, " Required."));
  for (const [type, { schema }] of Object.entries(operation.responses["200"]?.content ?? {})) {
    if (type === "application/json" && resolve(api, schema)?.properties) parts.push(make("h3", { textContent: "JSON response" }), fields(api, schema));
  }
  parts.push(make("h3", { textContent: "Responses" }), table(Object.entries(operation.responses).map(([status, { description, content }]) =>
    [status, Object.keys(content ?? {}).join(", "), description])));
  return make("details", { className: "endpoint" }, ...parts);
}

document.getElementById("example").textContent = `curl -F ir=@thermal.png -F vi=@visible.jpg -o fused.png ${location.origin}/api/fuse`;
const list = document.getElementById("endpoints");
try {
  const api = await (await fetch("/openapi.json")).json();
  document.getElementById("about").append(...api.info.description.split("\n\n").map((text) => make("p", {}, ...prose(text))));
  list.replaceChildren(make("h2", { textContent: "Endpoints" }), ...Object.entries(api.paths).flatMap(([path, verbs]) => Object.entries(verbs).map(([verb, operation]) => endpoint(api, path, verb, operation))));
} catch {
  list.textContent = "The API description could not be loaded; see /openapi.json.";
}
