const at = (id) => document.getElementById(id);
const [query, variables, status, answer, find, schema] = ["query", "variables", "status", "answer", "find", "schema"].map(at);

query.value = sessionStorage.getItem("graphql.query") ?? `query Riskiest {
  findings(first: 5) {
    totalCount
    nodes { id title severity risk asset { name kind } categories { key name } }
  }
}
`;
variables.value = sessionStorage.getItem("graphql.variables") ?? "{}";

async function ask(body) {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return [response.status, await response.json()];
}

async function run() {
  let given;
  try {
    given = JSON.parse(variables.value.trim() || "{}");
  } catch (error) {
    status.textContent = `The variables are not JSON: ${error.message}`;
    return variables.focus();
  }
  sessionStorage.setItem("graphql.query", query.value);
  sessionStorage.setItem("graphql.variables", variables.value);
  status.textContent = "Running …";
  const started = performance.now();
  try {
    const [code, body] = await ask({ query: query.value, variables: given });
    const count = body.errors?.length ?? 0;
    const errors = code !== 200 ? body.detail : count ? `${count} error${count > 1 ? "s" : ""}` : "";
    status.textContent = [`${Math.round(performance.now() - started)} ms`, errors].filter(Boolean).join(" · ");
    answer.textContent = JSON.stringify(body, null, 2);
  } catch (error) {
    status.textContent = `The server does not answer: ${error.message}`;
  }
}

at("run").addEventListener("click", run);
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    run();
  }
});

const TYPE = "kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";
const SCHEMA = `{ __schema { types {
  kind name description enumValues { name description }
  fields { name description args { name defaultValue type { ${TYPE} } } type { ${TYPE} } }
  inputFields { name description defaultValue type { ${TYPE} } }
} } }`;

function written(type) {
  if (type.kind === "NON_NULL") return `${written(type.ofType)}!`;
  if (type.kind === "LIST") return `[${written(type.ofType)}]`;
  return type.name;
}

const made = (tag, text, ...children) => {
  const node = document.createElement(tag);
  if (text) node.textContent = text;
  node.append(...children);
  return node;
};

const value = ({ name, type, defaultValue }) =>
  `${name}: ${written(type)}${defaultValue === null ? "" : ` = ${defaultValue}`}`;

function member(item) {
  const args = item.args?.length ? `(${item.args.map(value).join(", ")})` : "";
  const text = item.args ? `${item.name}${args}: ${written(item.type)}` : item.type ? value(item) : item.name;
  return made("li", "", made("code", text), ...(item.description ? [made("p", item.description)] : []));
}

function show(types) {
  const wanted = find.value.trim().toLowerCase();
  const has = (item) => item.name.toLowerCase().includes(wanted);
  schema.replaceChildren(
    ...types.flatMap((type) => {
      const members = type.fields ?? type.inputFields ?? type.enumValues ?? [];
      const hits = wanted && !has(type) ? members.filter(has) : members;
      if (wanted && !has(type) && !hits.length) return [];
      const details = made("details", "", made("summary", type.name));
      details.open = Boolean(wanted) && hits.length < 30;
      if (type.description) details.append(made("p", type.description));
      details.append(made("ul", "", ...hits.map(member)));
      return [details];
    }),
  );
}

const first = ["Query", "Mutation", "Subscription"];
const rank = ({ name }) => (first.includes(name) ? first.indexOf(name) : first.length);
const [, described] = await ask({ query: SCHEMA });
const types = described.data.__schema.types
  .filter(({ name, kind }) => !name.startsWith("__") && kind !== "SCALAR")
  .sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
find.addEventListener("input", () => show(types));
show(types);
