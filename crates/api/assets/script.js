// Shows the OpenAPI document. All of it goes in as text, never as markup.
"use strict";

function element(name, content, attributes = {}) {
  const made = document.createElement(name);
  for (const part of [content].flat()) {
    if (part !== undefined && part !== null) made.append(part);
  }
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  return made;
}

function type(schema) {
  if (!schema) return "";
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return element("a", name, { href: `#schema-${name}` });
  }
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices) return element("span", choices.flatMap((choice) => [type(choice), " "]));
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.type === "array") return element("span", ["array of ", type(schema.items)]);
  return [schema.type, schema.format].flat().filter(Boolean).join(" ");
}

function table(heads, rows) {
  const row = (cells, name) => element("tr", cells.map((cell) => element(name, cell, { class: "text" })));
  return element("table", [row(heads, "th"), ...rows.map((cells) => row(cells, "td"))]);
}

function examples(content) {
  return Object.values(content.examples ?? {}).map((example) =>
    element("details", [
      element("summary", example.summary),
      element("pre", typeof example.value === "string" ? example.value : JSON.stringify(example.value, null, 2)),
    ]));
}

function operation(path, method, described) {
  const section = element("section", element("h2", [
    element("span", method, { class: "method" }), " ", element("code", path),
  ]), { id: described.operationId });
  section.append(element("p", described.summary), element("p", described.description, { class: "text" }));
  if (described.parameters) {
    section.append(element("h3", "Parameters"), table(
      ["name", "in", "type", "meaning"],
      described.parameters.map((parameter) => [
        element("code", parameter.name), parameter.in, type(parameter.schema), parameter.description,
      ]),
    ));
  }
  for (const content of Object.values(described.requestBody?.content ?? {})) {
    section.append(element("h3", ["Body: ", type(content.schema)]), ...examples(content));
  }
  section.append(element("h3", "Answers"), table(
    ["status", "meaning", "body"],
    Object.entries(described.responses).map(([status, response]) => [
      status,
      response.description,
      element("div", Object.values(response.content ?? {})
        .flatMap((content) => [type(content.schema), ...examples(content)])),
    ]),
  ));
  return section;
}

function schema(name, described) {
  const required = new Set(described.required);
  return element("section", [
    element("h2", element("code", name)),
    element("p", described.description, { class: "text" }),
    table(["member", "type", "meaning"], Object.entries(described.properties ?? {}).map(([member, value]) => [
      element("code", required.has(member) ? member : `${member}?`), type(value), value.description ?? "",
    ])),
  ], { id: `schema-${name}` });
}

async function show() {
  const described = await (await fetch("openapi.json")).json();
  document.getElementById("title").textContent = `${described.info.title} ${described.info.version}`;
  document.getElementById("description").textContent = described.info.description;
  const operations = Object.entries(described.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, value]) => [path, method, value]));
  document.getElementById("contents").append(...operations.map(([path, method, value]) =>
    element("a", `${method.toUpperCase()} ${path}`, { href: `#${value.operationId}` })));
  document.getElementById("operations").append(...operations.map((one) => operation(...one)));
  document.getElementById("schemas").append(
    ...Object.entries(described.components.schemas).map((one) => schema(...one)));
}

show();
